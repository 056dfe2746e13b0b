"""A whole pipeline in a temporary folder: the real DAG and code, a tiny model, a few rows."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
WORDS = "bread dough yeast flour water oven salt sugar butter crust crumb heat".split()


def write_pipeline(folder: Path, model: Path, *, code: bool = True, **changes: Any) -> Path:
    """Lay out a pipeline of two rounds around a tiny model, as its own git and DVC repository.

    Args:
        folder: an empty folder.
        model: the base.
        code: copy the code too, which `dvc` hashes and runs; for stages called in this process
            their rubric is enough.
        changes: sections of params.yaml to merge in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    raw = folder / "data" / "raw"
    (raw / "annotations").mkdir(parents=True)
    (raw / "annotations" / "README.md").write_text("None.\n", encoding="utf-8")  # git keeps it
    (raw / "pairs.jsonl").write_text("".join(map(_line, range(24))), encoding="utf-8")
    questions = [{"prompt": f"What does {a} do to {b}?"} for a in WORDS for b in WORDS if a < b]
    text = "".join(json.dumps(q) + "\n" for q in questions)
    (raw / "prompts.jsonl").write_text(text, encoding="utf-8")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, values in _tiny(model).items():
        params[section].update(values)
    for section, values in changes.items():
        params[section].update(values)
    for name in ("spa", "stages") if code else (params["rubric"]["file"],):
        _copy(name, folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (folder / "compute.yaml").write_text("{device: cpu}\n", encoding="utf-8")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def _copy(name: str, folder: Path) -> None:
    source, target = ROOT / name, folder / name
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True)
        shutil.copy(source, target)


def _line(number: int) -> str:
    topic, other = WORDS[number % 12], WORDS[(number * 5 + 1) % 12]
    pair = {
        "prompt": f"Why does {topic} number {number} need {other}?",
        "chosen": f"Because {other} helps {topic} to become light and full of taste.",
        "rejected": f"The {topic} and the {topic} and then",
        "rejected_finish_reason": "length",
    }
    return json.dumps(pair) + "\n"


def _tiny(model: Path) -> dict[str, dict[str, Any]]:
    return {
        "base": {"source": str(model)},
        "split": {
            "source": "data/raw/pairs.jsonl",
            "prompts": "data/raw/prompts.jsonl",
            "seed_pairs": 8,
            "development": 4,
            "test": 8,
            "gold": 8,
        },
        "generate": {"max_new_tokens": 12},
        "filter": {"min_kept": 1, "max_flagged": 1.0},
        "train": {"batch_size": 4, "learning_rate": 1.0e-3},
        "evaluate": {"max_new_tokens": 12},
        "rival": {"gammas": [2.0]},
        "rounds": {
            str(n): {
                "prev": str(n - 1),
                "prompts": 8,
                "generate": {},
                "judge": {},
                "filter": {},
                "train": {"lambda": 0.5},
            }
            for n in (1, 2)
        },
    }
