"""The model registry on a real database: policies by reference, ranked, one champion."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from spa.layout import Layout
from spa.tracking.registry import CHAMPION, REGISTERED, log_policies
from spa.tracking.server import EXPERIMENT, tracking_uri
from spa.tracking.stages import track

ROWS: list[dict[str, Any]] = [
    {"round": "base", "win_rate": 0.5},
    {"round": "0", "win_rate": 0.55, "annotator": "rubric"},
    {"round": "1", "win_rate": 0.7, "kept": 60},
    {"round": "2", "win_rate": 0.6, "judge_accuracy": None},
    {"round": "rival", "win_rate": 0.9},
]


@pytest.fixture
def layout(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    shutil.copy(database, tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    found = Layout(tmp_path)
    for round in ("0", "1", "2", "rival"):
        found.policy(round).mkdir(parents=True)
        (found.policy(round) / "model.safetensors").write_bytes(round.encode() * 1000)
    return found


def _versions(client: MlflowClient) -> dict[str, Any]:
    return {v.tags["spa.round"]: v for v in client.search_model_versions(f"name = '{REGISTERED}'")}


def _ranked(client: MlflowClient) -> list[str]:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    models = client.search_logged_models(
        [experiment.experiment_id],
        order_by=[{"field_name": "metrics.eval/win_rate", "ascending": False}],
    )
    return [model.name for model in models]


def test_rounds_are_versions_by_reference_with_one_champion(layout: Layout) -> None:
    with track(layout, "train", 1, {}):
        pass
    for _ in range(2):  # the second time nothing is new
        log_policies(layout, ROWS, "1")
    client = MlflowClient(tracking_uri(layout))
    assert sorted(_versions(client)) == ["0", "1", "2"]
    assert len(client.search_model_versions(f"name = '{REGISTERED}'")) == 3
    champion = client.get_model_version_by_alias(REGISTERED, CHAMPION)
    assert champion.tags["spa.round"] == "1"
    assert _ranked(client) == ["round-1", "round-2", "round-0"]
    model = client.get_logged_model(champion.tags["spa.model"])
    assert model.tags["dvc.path"] == "data/round-1/policy"
    assert {m.key: m.value for m in model.metrics or []} == {"eval/kept": 60, "eval/win_rate": 0.7}
    assert client.get_run(str(model.source_run_id)).info.run_name == "train@1"
    copies = [f for f in (layout.root / "mlartifacts").rglob("*") if f.suffix == ".safetensors"]
    assert not copies

    (layout.policy("2") / "model.safetensors").write_bytes(b"other weights")
    better = [*ROWS[:3], {**ROWS[3], "win_rate": 0.8}]
    log_policies(layout, better, "2")
    assert len(client.search_model_versions(f"name = '{REGISTERED}'")) == 4
    assert client.get_model_version_by_alias(REGISTERED, CHAMPION).tags["spa.round"] == "2"
    assert _ranked(client)[0] == "round-2"


def test_a_recommended_policy_that_is_not_here_leaves_the_champion_and_is_said(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    log_policies(layout, ROWS, "1")
    shutil.rmtree(layout.policy("2"))
    assert capsys.readouterr().err == ""
    log_policies(layout, ROWS, "2")
    assert "data/round-2/policy is not here, so that MLflow's champion" in capsys.readouterr().err
    champion = MlflowClient(tracking_uri(layout)).get_model_version_by_alias(REGISTERED, CHAMPION)
    assert champion.tags["spa.round"] == "1"
