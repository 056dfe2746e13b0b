"""Rows of preference pairs in every shape that people have them in."""

import json
from pathlib import Path
from typing import Any

USER = {"role": "user", "content": "Why does bread rise?"}
GOOD = {"role": "assistant", "content": "Yeast makes gas."}
BAD = {"role": "assistant", "content": "No idea."}
PLAIN = {"prompt": USER["content"], "chosen": GOOD["content"], "rejected": BAD["content"]}
SHAPES: dict[str, dict[str, Any]] = {
    "explicit text": PLAIN,
    "explicit messages": {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
    "implicit messages": {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
    "implicit text": {
        "chosen": "Why does bread rise?\n\nYeast makes gas.",
        "rejected": "Why does bread rise?\n\nNo idea.",
    },
    "UltraFeedback binarized": {
        "prompt": USER["content"],
        "prompt_id": "abc",
        "chosen": [USER, GOOD],
        "rejected": [USER, BAD],
        "score_chosen": 8.0,
    },
    "Anthropic hh": {
        "chosen": "\n\nHuman: Why does bread rise?\n\nAssistant: Yeast makes gas.",
        "rejected": "\n\nHuman: Why does bread rise?\n\nAssistant: No idea.",
    },
    "Anthropic hh, prompt apart": {
        "prompt": "\n\nHuman: Why does bread rise?\n\nAssistant:",
        "chosen": " Yeast makes gas.",
        "rejected": " No idea.",
    },
    "messages with all turns": {"prompt": [USER], "chosen": [USER, GOOD], "rejected": [USER, BAD]},
}


def write_rows(folder: Path, *rows: Any, name: str = "pairs.jsonl") -> str:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    (folder / name).write_text(text, encoding="utf-8")
    return name
