"""Every round's policy as a logged model and as a version of one registered model.

By reference: MLflow learns where a policy's folder is and what its weights' hash is, and holds no
copy of them. DVC keeps the weights.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spa.files import hash_folder
from spa.layout import Layout
from spa.tracking.server import (
    connect,
    find_children,
    find_experiment,
    find_parent,
    pipeline_key,
    raced,
    tolerant,
    tracking_uri,
)
from spa.tracking.stages import child_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

REGISTERED = "spa-policy"
CHAMPION = "champion"


def log_policies(layout: Layout, rows: Sequence[Mapping[str, Any]], recommended: str) -> None:
    """Register the policy of every round, with its figures, and name the recommended champion.

    A policy whose bytes are registered under this pipeline already is not registered again; its
    figures are written where they changed. A policy that does not lie here is left out; if it is
    the recommended one, stderr says that the champion stays who it was.
    `mlflow.search_logged_models` ranks the policies by any figure, say `metrics.eval/win_rate`.

    Args:
        layout: the pipeline.
        rows: one mapping per policy with `round` and figures; base and rival are left out.
        recommended: the round whose version gets the alias `champion`.
    """
    if not layout.policy(recommended).is_dir():
        print(
            f"warning: {layout.show(layout.policy(recommended))} is not here, so that MLflow's "
            f"{CHAMPION} stays who it was; `dvc pull` it and say `spa report` again",
            file=sys.stderr,
        )
    tolerant(_log_policies, layout, rows, recommended)


def _log_policies(layout: Layout, rows: Sequence[Mapping[str, Any]], recommended: str) -> None:
    client = connect(layout)
    experiment = find_experiment(client, layout)
    parent = find_parent(client, experiment, layout)
    for row in rows:
        round = row["round"]
        if not round.isdigit() or not layout.policy(round).is_dir():
            continue
        stage = child_name("seed" if round == "0" else "train", round)
        children = find_children(client, experiment, parent, stage)
        run = str(children[0].info.run_id) if children else parent
        model = _logged_model(client, experiment, layout, round, run)
        _link_metrics(client, model, run, row)
        version = _version(client, model, layout, round, run)
        if round == recommended:
            client.set_registered_model_alias(REGISTERED, CHAMPION, version)


def _logged_model(
    client: "MlflowClient", experiment: str, layout: Layout, round: str, run: str
) -> "LoggedModel":
    """The logged model of a round's policy: found by the hash of its bytes, or made."""
    import mlflow

    tags = {
        "spa.key": pipeline_key(layout),
        "spa.round": round,
        "spa.sha256": hash_folder(layout.policy(round)),
    }
    query = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    if found := client.search_logged_models([experiment], filter_string=query):
        return found[0]
    mlflow.set_tracking_uri(tracking_uri(layout))
    return mlflow.create_external_model(
        name=f"round-{round}",
        source_run_id=run,
        experiment_id=experiment,
        tags={**tags, "dvc.path": layout.show(layout.policy(round))},
    )


def _link_metrics(
    client: "MlflowClient", model: "LoggedModel", run: str, row: Mapping[str, Any]
) -> None:
    from mlflow.entities import Metric

    known = {metric.key: metric.value for metric in model.metrics or []}
    now = int(time.time() * 1000)
    figures = {
        f"eval/{key}": float(value)
        for key, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    step = int(row["round"])
    metrics = [
        Metric(key, value, now, step, model_id=model.model_id, run_id=run)
        for key, value in figures.items()
        if known.get(key) != value
    ]
    if metrics:
        client.log_batch(run, metrics=metrics)


def _version(
    client: "MlflowClient", model: "LoggedModel", layout: Layout, round: str, run: str
) -> str:
    """The registered version of a logged model: found by the model's id, or made."""
    raced(_make_registered, client)
    for version in client.search_model_versions(f"name = '{REGISTERED}'"):
        if version.tags.get("spa.model") == model.model_id:
            return str(version.version)
    made = client.create_model_version(
        REGISTERED,
        source=f"models:/{model.model_id}",
        run_id=run,
        tags={"spa.model": model.model_id, "spa.round": round, "spa.key": pipeline_key(layout)},
        model_id=model.model_id,
    )
    return str(made.version)


def _make_registered(client: "MlflowClient") -> None:
    """Make the registered model where it is not there."""
    if not client.search_registered_models(f"name = '{REGISTERED}'"):
        client.create_registered_model(
            REGISTERED, description="Policies of SPA's rounds, by reference; DVC keeps the weights."
        )
