"""Whether runs can be logged where they are kept; nothing is made there."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from spa.layout import Layout
from spa.tracking.server import connect, tracking_uri


def unreachable(layout: Layout) -> str | None:
    """Why MLflow cannot be reached, in words; None where it can.

    A database beside dvc.yaml is only looked at, as opening it would make it.
    """
    uri = urlsplit(tracking_uri(layout))
    if uri.scheme in ("sqlite", "file", ""):
        place = Path(uri.path[1:] if uri.scheme == "sqlite" else uri.path)
        there = next(folder for folder in (place, *place.parents) if folder.exists())
        return None if os.access(there, os.W_OK) else f"{there} cannot be written"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        connect(layout).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        return " ".join(str(error).split())[:200]
    return None
