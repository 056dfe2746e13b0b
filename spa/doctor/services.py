"""What the run talks to: an annotator's endpoint, MLflow, and DVC's remote."""

from typing import Any

from spa.addresses import without_login
from spa.annotation.endpoint import Endpoint
from spa.deadline import within
from spa.doctor.finding import Finding, fault, note, ok
from spa.errors import AnnotationError
from spa.layout import Layout
from spa.params import Params
from spa.tracking.reach import unreachable
from spa.tracking.server import tracking_uri

PATIENCE = 5.0
"""Seconds that a service may take to answer."""


def check_endpoint(layout: Layout, params: Params) -> list[Finding]:
    """The annotator's endpoint answers and takes the key; nothing is paid."""
    if "alpaca_eval" not in params.evaluate.annotators:
        return []
    try:
        endpoint = Endpoint(cache=layout.cache / "annotations", calls=1, timeout=PATIENCE)
        listed = endpoint.reach()
    except AnnotationError as error:
        return [fault("endpoint", f"evaluate.annotator: {error}")]
    if not listed:
        return [note("endpoint", f"{endpoint.shown} answers, but offers no list of models")]
    return [ok("endpoint", f"{endpoint.shown} answers and accepts the key")]


def check_tracking(layout: Layout) -> list[Finding]:
    """Runs can be logged."""
    uri = without_login(tracking_uri(layout), tracking_uri(layout))
    if reason := unreachable(layout):
        reason = without_login(reason, tracking_uri(layout))
        todo = "start the server or correct MLFLOW_TRACKING_URI, or nothing is logged"
        return [fault("mlflow", f"{uri}: cannot be reached ({reason}); {todo}")]
    return [ok("mlflow", uri)]


def check_remote(layout: Layout) -> list[Finding]:
    """DVC's default remote, where one is set, can be reached."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(layout.root)) as repo:
            name = repo.config["core"].get("remote")
            if not name:
                return [ok("remote", "none is set; DVC keeps everything on this machine")]
            return [_remote(repo, name)]
    except DvcException as error:
        return [fault("remote", f"DVC: {error}")]


def _remote(repo: Any, name: str) -> Finding:
    def ask() -> str:
        odb = repo.cloud.get_remote_odb(name)
        odb.fs.info(odb.path)
        return str(odb.path)

    try:
        return ok("remote", f"{name}: {within(2 * PATIENCE, ask)}")
    except TimeoutError as error:
        reason = str(error)
    except Exception as error:  # of whichever library speaks to this kind of remote
        cause = error.__cause__ or error
        if isinstance(cause, FileNotFoundError):
            return note("remote", f"{name}: does not exist yet; `dvc push` creates it")
        reason = f"{type(cause).__name__}: {cause}"[:200]
    return fault("remote", f"{name}: cannot be reached ({reason}); fix it with `dvc remote`")
