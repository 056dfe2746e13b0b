"""One stage of one round, as a child of the pipeline's run."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from spa.layout import Layout
from spa.memory import reduced
from spa.tracking.server import (
    connect,
    dvc_md5,
    find_children,
    find_experiment,
    find_parent,
    log_params,
    raced,
    tolerant,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

_FLUSH = 100


class Tracker(Protocol):
    """What a stage may say about itself."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log figures, at an optimiser step where they form a curve."""

    def dataset(self, path: Path, context: str) -> None:
        """Name a file that the stage reads; `context` says what for."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Log facts that are no figures."""


class _Silent:
    """Stands in where the tracking server cannot be reached."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log nothing."""

    def dataset(self, path: Path, context: str) -> None:
        """Log nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Log nothing."""


class _Run:
    """A child run; figures are sent in batches, as each call costs a round trip."""

    def __init__(self, client: "MlflowClient", run_id: str, layout: Layout) -> None:
        self._client = client
        self._run_id = run_id
        self._layout = layout
        self._waiting: list[Any] = []

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(k, float(v), now, step or 0) for k, v in values.items()]
        if len(self._waiting) >= _FLUSH:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            tolerant(self._client.log_batch, self._run_id, metrics=self._waiting)
            self._waiting = []

    def dataset(self, path: Path, context: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        name = self._layout.show(path)
        source = f'{{"uri": "{name}"}}'
        dataset = Dataset(name, dvc_md5(self._layout, path), "local", source)
        tag = InputTag("mlflow.data.context", context)
        inputs = [DatasetInput(dataset, [tag])]
        tolerant(raced, self._client.log_inputs, self._run_id, datasets=inputs)

    def tags(self, values: Mapping[str, str]) -> None:
        for key, value in values.items():
            tolerant(self._client.set_tag, self._run_id, f"spa.{key}", value)


@contextmanager
def silent() -> Iterator[Tracker]:
    """For a process beside the one that logs."""
    yield _Silent()


@contextmanager
def track(
    layout: Layout, stage: str, round: int | str | None, params: Mapping[str, Any]
) -> Iterator[Tracker]:
    """Log one stage of one round as a child run of the pipeline's run.

    A stage that runs again under the same key replaces its earlier child.

    Args:
        layout: the pipeline.
        stage: as in dvc.yaml.
        round: its round, None for stages that have none.
        params: the section of params that it used.
    """
    name = child_name(stage, round)
    opened = tolerant(_open_child, layout, name, stage, round, params)
    if opened is None:
        yield _Silent()
        return
    client, parent, run_id = opened
    try:
        with resume(client, run_id, layout) as run:
            yield run
    finally:
        tolerant(client.set_terminated, parent)


@contextmanager
def resume(client: "MlflowClient", run_id: str, layout: Layout) -> Iterator[Tracker]:
    """Log more to a run that is there, and end it: failed where the block fails."""
    run = _Run(client, run_id, layout)
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    finally:
        run.tags({f"reduced.{key}": str(size) for key, size in reduced.items()})
        run.flush()
        tolerant(client.set_terminated, run_id, status)


def child_name(stage: str, round: int | str | None) -> str:
    """Name of a stage's run: as in dvc.yaml."""
    plain = round is None or stage in ("seed", "baseline", "evaluate_seed", "rival")
    return stage if plain else f"{stage}@{round}"


def _open_child(
    layout: Layout,
    name: str,
    stage: str,
    round: int | str | None,
    params: Mapping[str, Any],
) -> tuple["MlflowClient", str, str]:
    client = connect(layout)
    experiment = find_experiment(client, layout)
    parent = find_parent(client, experiment, layout)
    for earlier in find_children(client, experiment, parent, name):
        client.delete_run(earlier.info.run_id)
    tags = {
        "mlflow.parentRunId": parent,
        "spa.level": "stage",
        "spa.stage": stage,
        "spa.round": "" if round is None else str(round),
    }
    run_id = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    log_params(client, run_id, params)
    return client, parent, run_id
