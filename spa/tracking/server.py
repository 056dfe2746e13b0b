"""Where runs are kept, and how the run of a pipeline and its children are found.

mlflow is imported only where something is logged.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from spa.addresses import without_login
from spa.files import hash_file, replace_file
from spa.layout import Layout
from spa.param_files import flatten

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "spa"


def tracking_uri(layout: Layout) -> str:
    """Where runs are kept: MLFLOW_TRACKING_URI, or a database beside dvc.yaml."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_database(layout)}"


def _database(layout: Layout) -> Path:
    return layout.root / "mlflow.db"


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


def tolerant(call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call MLflow; say once that it cannot be reached, and go on without it."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return call(*args, **kwargs)
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        if not getattr(tolerant, "said", False):
            uri = os.environ.get("MLFLOW_TRACKING_URI", "")
            reason = " ".join(without_login(str(error), uri).split())[:160]
            print(
                f"warning: MLflow cannot be reached, runs are not logged ({reason})",
                file=sys.stderr,
            )
            tolerant.said = True  # type: ignore[attr-defined]
        return None


def connect(layout: Layout) -> "MlflowClient":
    """A client of the tracking server, with telemetry off and short patience.

    A database of the pipeline's own is made beside its place: MLflow takes seconds to make one,
    and cannot go on with half of one should it be killed meanwhile.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    import logging

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # what goes wrong in the database reaches `tolerant`, which says it in a line
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    from mlflow import MlflowClient

    own = _database(layout)
    if tracking_uri(layout) == f"sqlite:///{own}" and not own.exists():
        with replace_file(own) as new:
            MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)
    return MlflowClient(tracking_uri(layout))


def raced(call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call MLflow, and once more where another process may have written the same meanwhile.

    A server on PostgreSQL refuses the second of two equal experiments, models or datasets; when
    `call` looks again, the first one is there.
    """
    from mlflow.exceptions import MlflowException

    try:
        return call(*args, **kwargs)
    except MlflowException as error:
        if error.error_code not in ("BAD_REQUEST", "RESOURCE_ALREADY_EXISTS"):
            raise
        return call(*args, **kwargs)


def find_experiment(client: "MlflowClient", layout: Layout) -> str:
    """Id of the experiment that all pipelines share; made where it is not there."""
    return str(raced(_experiment, client, layout))


def _experiment(client: "MlflowClient", layout: Layout) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    local = not os.environ.get("MLFLOW_TRACKING_URI")
    place = (layout.root / "mlartifacts").as_uri() if local else None
    return str(client.create_experiment(EXPERIMENT, artifact_location=place))


def _find(client: "MlflowClient", experiment: str, query: str) -> list[Any]:
    return list(client.search_runs([experiment], filter_string=query))


def find_parent(client: "MlflowClient", experiment: str, layout: Layout) -> str:
    """Id of the pipeline's own run; made where it is not there."""
    key = pipeline_key(layout)
    query = f"tags.`spa.key` = '{key}' and tags.`spa.level` = 'pipeline'"
    if found := _find(client, experiment, query):
        return str(found[0].info.run_id)
    tags = {"spa.key": key, "spa.level": "pipeline", **_git(layout)}
    run = client.create_run(experiment, run_name=f"pipeline-{key}", tags=tags)
    params = yaml.safe_load(layout.params.read_text(encoding="utf-8"))
    log_params(client, run.info.run_id, params)
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def find_children(client: "MlflowClient", experiment: str, parent: str, name: str) -> list[Any]:
    """Runs of one name under a pipeline's run."""
    query = f"tags.`mlflow.parentRunId` = '{parent}' and attributes.run_name = '{name}'"
    return _find(client, experiment, query)


def log_params(client: "MlflowClient", run_id: str, params: Mapping[str, Any]) -> None:
    """Log params flat, `a.b` for a nested key, in batches that servers accept."""
    from mlflow.entities import Param

    flat = [Param(key, str(value)[:500]) for key, value in flatten(params)]
    for start in range(0, len(flat), 100):
        client.log_batch(run_id, params=flat[start : start + 100])


def _git(layout: Layout) -> dict[str, str]:
    command = ["git", "-C", str(layout.root), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {"mlflow.source.git.commit": done.stdout.strip()} if done.returncode == 0 else {}
