"""AlpacaEval's annotator before a server on loopback, and what it is asked in tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spa.annotation.alpaca_eval import AlpacaEvalAnnotator
from spa.annotation.annotator import Answer, Comparison
from spa.annotation.endpoint import Endpoint
from spa.annotators import AlpacaEval
from tests.spa.annotation import fault_server as faults

CANARY = "sk-canary-0123456789"
"""The key; it must be found nowhere."""
COUNT = 8
WANTED = [0.9 if i % 2 else 0.1 for i in range(COUNT)]
"""What the server that works says of `comparisons`."""


def comparisons(count: int = COUNT) -> list[Comparison]:
    """The second answer is the longer one of every other comparison."""
    return [
        Comparison(
            [{"role": "user", "content": f"Question {i}?"}],
            Answer("A middling answer.", "stop"),
            Answer("Long, long, long, very long answer." if i % 2 else "Short.", "stop"),
        )
        for i in range(count)
    ]


def make_annotator(
    server: faults.Server, cache: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> AlpacaEvalAnnotator:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    limit = settings.pop("max_cost_usd", None)
    calls = settings.pop("calls", 2)
    patience = settings.pop("timeout", 30.0)  # a busy machine must not look like a dead endpoint
    endpoint = Endpoint(cache=cache, calls=calls, timeout=patience, pause=0.01)
    return AlpacaEvalAnnotator(
        AlpacaEval(**settings), endpoint, root=cache.parent, max_cost_usd=limit
    )


def kept_files(cache: Path) -> Sequence[Path]:
    return sorted(cache.glob("*.json"))
