"""MLflow: one parent run per pipeline, one flat child per stage and round.

The pipeline's run is found by its key, a hash of params.yaml and the raw data, so that every
process of it finds the same one. Figures per round stand on the parent with step = round;
training curves stand on the child. A server that cannot be reached is said once and stops
nothing. mlflow is imported only where something is logged.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from spa.files import hash_file, read_table
from spa.layout import Layout
from spa.records import TrainingRow

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "spa"
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
            _tolerant(self._client.log_batch, self._run_id, metrics=self._waiting)
            self._waiting = []

    def dataset(self, path: Path, context: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        name = self._layout.show(path)
        source = f'{{"uri": "{name}"}}'
        dataset = Dataset(name, dvc_md5(self._layout, path), "local", source)
        tag = InputTag("mlflow.data.context", context)
        _tolerant(self._client.log_inputs, self._run_id, datasets=[DatasetInput(dataset, [tag])])

    def tags(self, values: Mapping[str, str]) -> None:
        for key, value in values.items():
            _tolerant(self._client.set_tag, self._run_id, f"spa.{key}", value)


def tracking_uri(layout: Layout) -> str:
    """Where runs are kept: MLFLOW_TRACKING_URI, or a database beside dvc.yaml."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{layout.root / 'mlflow.db'}"


def pipeline_key(layout: Layout) -> str:
    """Name of a pipeline: a hash of params.yaml and of everything under data/raw."""
    digest = hashlib.sha256(layout.params.read_bytes())
    for file in sorted(p for p in layout.raw.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(layout.raw)}\0{hash_file(file)}\n".encode())
    return digest.hexdigest()[:10]


def dvc_md5(layout: Layout, path: Path) -> str:
    """The MD5 that DVC knows a file by: of its bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


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
    name = _child_name(stage, round)
    opened = _tolerant(_open_child, layout, name, stage, round, params)
    if opened is None:
        yield _Silent()
        return
    client, parent, run_id = opened
    run = _Run(client, run_id, layout)
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    finally:
        run.flush()
        _tolerant(client.set_terminated, run_id, status)
        _tolerant(client.set_terminated, parent)


def log_rounds(layout: Layout, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the figures of every round on the pipeline's run, with step = round.

    Figures that are there already are not written again; training curves of rounds that DVC
    restored from its cache, and so never ran under this key, are rebuilt from their logs.

    Args:
        layout: the pipeline.
        rows: one mapping per policy with `round` ("base", "0", "1", ..., "rival") and figures.
    """
    _tolerant(_log_rounds, layout, rows)


def log_artifacts(layout: Layout, files: Sequence[Path]) -> None:
    """Attach files to the pipeline's run."""
    _tolerant(_log_artifacts, layout, files)


def _child_name(stage: str, round: int | str | None) -> str:
    plain = round is None or stage in ("seed", "baseline", "evaluate_seed", "rival")
    return stage if plain else f"{stage}@{round}"


def _tolerant(call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call MLflow; say once that it cannot be reached, and go on without it."""
    from mlflow.exceptions import MlflowException

    try:
        return call(*args, **kwargs)
    except (MlflowException, OSError) as error:
        if not getattr(_tolerant, "said", False):
            reason = " ".join(str(error).split())[:160]
            print(
                f"warning: MLflow cannot be reached, runs are not logged ({reason})",
                file=sys.stderr,
            )
            _tolerant.said = True  # type: ignore[attr-defined]
        return None


def _client(layout: Layout) -> "MlflowClient":
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    import logging

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri(layout))


def _experiment(client: "MlflowClient", layout: Layout) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    local = not os.environ.get("MLFLOW_TRACKING_URI")
    place = (layout.root / "mlartifacts").as_uri() if local else None
    return str(client.create_experiment(EXPERIMENT, artifact_location=place))


def _find(client: "MlflowClient", experiment: str, query: str) -> list[Any]:
    return list(client.search_runs([experiment], filter_string=query))


def _parent(client: "MlflowClient", experiment: str, layout: Layout) -> str:
    key = pipeline_key(layout)
    query = f"tags.`spa.key` = '{key}' and tags.`spa.level` = 'pipeline'"
    if found := _find(client, experiment, query):
        return str(found[0].info.run_id)
    tags = {"spa.key": key, "spa.level": "pipeline", **_git(layout)}
    run = client.create_run(experiment, run_name=f"pipeline-{key}", tags=tags)
    params = yaml.safe_load(layout.params.read_text(encoding="utf-8"))
    _log_params(client, run.info.run_id, params)
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _open_child(
    layout: Layout,
    name: str,
    stage: str,
    round: int | str | None,
    params: Mapping[str, Any],
) -> tuple["MlflowClient", str, str]:
    client = _client(layout)
    experiment = _experiment(client, layout)
    parent = _parent(client, experiment, layout)
    for earlier in _children(client, experiment, parent, name):
        client.delete_run(earlier.info.run_id)
    tags = {
        "mlflow.parentRunId": parent,
        "spa.level": "stage",
        "spa.stage": stage,
        "spa.round": "" if round is None else str(round),
    }
    run_id = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    _log_params(client, run_id, params)
    return client, parent, run_id


def _children(client: "MlflowClient", experiment: str, parent: str, name: str) -> list[Any]:
    query = f"tags.`mlflow.parentRunId` = '{parent}' and attributes.run_name = '{name}'"
    return _find(client, experiment, query)


def _log_params(client: "MlflowClient", run_id: str, params: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    flat = [Param(key, str(value)[:500]) for key, value in _flatten(params)]
    for start in range(0, len(flat), 100):
        client.log_batch(run_id, params=flat[start : start + 100])


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping):
            yield from _flatten(inner, f"{name}.")
        else:
            yield name, inner


def _git(layout: Layout) -> dict[str, str]:
    command = ["git", "-C", str(layout.root), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {"mlflow.source.git.commit": done.stdout.strip()} if done.returncode == 0 else {}


def _log_rounds(layout: Layout, rows: Sequence[Mapping[str, Any]]) -> None:
    from mlflow.entities import Metric

    client = _client(layout)
    experiment = _experiment(client, layout)
    parent = _parent(client, experiment, layout)
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
            _rebuild_training(client, experiment, parent, layout, row["round"])
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


def _rebuild_training(
    client: "MlflowClient", experiment: str, parent: str, layout: Layout, round: str
) -> None:
    stage = "seed" if round == "0" else "train"
    name = _child_name(stage, round)
    log = layout.training_log(round)
    if _children(client, experiment, parent, name) or not log.exists():
        return
    with track(layout, stage, round, {"restored": True}) as run:
        steps: dict[int, list[TrainingRow]] = {}
        for row in read_table(log, TrainingRow):
            steps.setdefault(row.step, []).append(row)
        for step, members in steps.items():
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
    client = _client(layout)
    parent = _parent(client, _experiment(client, layout), layout)
    for file in files:
        client.log_artifact(parent, str(file), "report")
