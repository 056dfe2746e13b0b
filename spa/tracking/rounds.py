"""A pipeline's figures over its rounds, on its own run, and the files of its report."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spa.layout import Layout
from spa.records import TrainingRow
from spa.tables import read_table
from spa.tracking.server import connect, find_children, find_experiment, find_parent, tolerant
from spa.tracking.stages import child_name, resume, track

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_rounds(layout: Layout, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the figures of every round on the pipeline's run, with step = round.

    Figures that are there already are not written again. Training curves are completed from the
    rounds' logs: of rounds that DVC restored from its cache, and so never ran under this key,
    and of those that a server missed while it was down.

    Args:
        layout: the pipeline.
        rows: one mapping per policy with `round` ("base", "0", "1", ..., "rival") and figures.
    """
    tolerant(_log_rounds, layout, rows)


def log_artifacts(layout: Layout, files: Sequence[Path]) -> None:
    """Attach files to the pipeline's run."""
    tolerant(_log_artifacts, layout, files)


def _log_rounds(layout: Layout, rows: Sequence[Mapping[str, Any]]) -> None:
    from mlflow.entities import Metric

    client = connect(layout)
    experiment = find_experiment(client, layout)
    parent = find_parent(client, experiment, layout)
    now = int(time.time() * 1000)
    metrics = [
        Metric(name, value, now, step)
        for row in rows
        for name, value, step in _figures(row)
        if not _is_logged(client, parent, name, value, step)
    ]
    if metrics:
        client.log_batch(parent, metrics=metrics)
    for row in rows:
        if row["round"].isdigit():
            _complete_training(client, experiment, parent, layout, row["round"])
    client.set_terminated(parent)


def _figures(row: Mapping[str, Any]) -> Iterator[tuple[str, float, int]]:
    """Names, values and steps of a row; the base has no place among the rounds."""
    if row["round"] == "base":
        return
    for key, value in row.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            rival = row["round"] == "rival"
            group = "rival" if rival else "data" if key in ("kept", "flagged") else "eval"
            yield f"{group}/{key}", float(value), 0 if rival else int(row["round"])


def _is_logged(client: "MlflowClient", run: str, name: str, value: float, step: int) -> bool:
    history = [m for m in client.get_metric_history(run, name) if m.step == step]
    return bool(history) and history[-1].value == value


def _complete_training(
    client: "MlflowClient", experiment: str, parent: str, layout: Layout, round: str
) -> None:
    stage = "seed" if round == "0" else "train"
    log = layout.training_log(round)
    if not log.exists():
        return
    steps: dict[int, list[TrainingRow]] = {}
    for row in read_table(log, TrainingRow):
        steps.setdefault(row.step, []).append(row)
    children = find_children(client, experiment, parent, child_name(stage, round))
    if not children:
        with track(layout, stage, round, {"restored": True}) as run:
            for step, members in steps.items():
                run.metrics(training_curves(members), step=step)
        return
    child = children[0].info
    there = {m.step for m in client.get_metric_history(child.run_id, "train/learning_rate")}
    missed = {step: members for step, members in steps.items() if step not in there}
    if missed:
        with resume(client, child.run_id, layout) as run:
            for step, members in missed.items():
                run.metrics(training_curves(members), step=step)


def training_curves(rows: Sequence[TrainingRow]) -> dict[str, float]:
    """What one optimiser step adds to the training curves: means over its pairs."""
    count = len(rows)
    return {
        "train/loss": sum(r.loss for r in rows) / count,
        "train/margin": sum(r.margin for r in rows) / count,
        "train/reward_accuracy": sum(r.margin > 0 for r in rows) / count,
        "train/flagged": sum(r.flagged for r in rows) / count,
        "train/learning_rate": rows[0].learning_rate,
    }


def _log_artifacts(layout: Layout, files: Sequence[Path]) -> None:
    client = connect(layout)
    parent = find_parent(client, find_experiment(client, layout), layout)
    for file in files:
        client.log_artifact(parent, str(file), "report")
