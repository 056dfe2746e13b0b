"""Log what a pipeline logs, as one process of several that do so at once.

    python -m tests.spa.tracking.logging_pipeline PIPELINE STAGE ...

It says that it is ready and begins when a line comes on its standard input. A stage has STEPS
figures; `report` logs the rounds, their policies and a file.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from spa.layout import Layout
from spa.tracking.registry import log_policies
from spa.tracking.rounds import log_artifacts, log_rounds
from spa.tracking.stages import track

STEPS = 250
ROWS: list[dict[str, Any]] = [
    {"round": "base", "win_rate": 0.5},
    {"round": "0", "win_rate": 0.55, "kl_to_base": 1.5},
    {"round": "1", "win_rate": 0.7, "kl_to_base": 2.5, "kept": 60},
    {"round": "rival", "win_rate": 0.6},
]


def main() -> None:
    layout, stages = Layout(Path(sys.argv[1])), sys.argv[2:]
    _log_nothing()
    print("ready", flush=True)
    sys.stdin.readline()
    for stage in stages:
        _log_report(layout) if stage == "report" else _log_stage(layout, stage)


def _log_nothing() -> None:
    """Import now what is imported where something is logged."""
    import_module("mlflow")
    import_module("sqlalchemy")


def _log_stage(layout: Layout, stage: str) -> None:
    name, _, round = stage.partition("@")
    with track(layout, name, round or None, {"beta": 0.1, "nested": {"a": 1}}) as run:
        for step in range(STEPS):
            run.metrics({"train/loss": 1 / (step + 1), "train/margin": step / 10}, step=step)
        run.dataset(layout.raw / "pairs.jsonl", context="training")
        run.tags({"engine": "transformers"})


def _log_report(layout: Layout) -> None:
    log_rounds(layout, ROWS)
    log_policies(layout, ROWS, "1")
    log_artifacts(layout, [layout.report / "index.html"])


if __name__ == "__main__":
    main()
