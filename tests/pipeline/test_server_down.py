"""A tracking server that dies in the middle of a stage: the stage goes on, the curve is mended."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from spa.layout import Layout
from spa.records import TrainingRow
from spa.tables import write_table
from spa.tracking.rounds import log_rounds, training_curves
from spa.tracking.server import EXPERIMENT, tolerant
from spa.tracking.stages import track
from tests.mlflow_server import free_port, kill_group, mlflow_server

pytestmark = pytest.mark.slow
STEPS = 60  # more than two batches of figures


def _rows(step: int) -> list[TrainingRow]:
    row: dict[str, Any] = {
        "pair_id": f"p{step}", "loss": 0.7 - step / 1000, "margin": step / 100,
        "extrapolated_margin": None, "confidence": 0.6, "threshold": None, "flagged": False,
        "refined": False, "learning_rate": 1e-5,
    }  # fmt: skip
    return [TrainingRow(step=step, **row)]


def test_a_stage_outlives_the_server_and_its_curve_is_completed_from_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(tolerant, "said", False, raising=False)
    layout = Layout(tmp_path)
    layout.params.write_text("seed: 1\n")
    log = [row for step in range(STEPS) for row in _rows(step)]
    with mlflow_server(tmp_path, port) as server, track(layout, "train", 1, {"beta": 0.1}) as run:
        for step in range(STEPS):
            if step == STEPS // 2:
                kill_group(server)
            run.metrics(training_curves(_rows(step)), step=step)
    write_table(layout.training_log(1), log, TrainingRow)
    assert "warning: MLflow cannot be reached" in capsys.readouterr().err
    with mlflow_server(tmp_path, port):
        rows: list[dict[str, Any]] = [{"round": "base", "win_rate": 0.5}]
        log_rounds(layout, [*rows, {"round": "1", "win_rate": 0.7}])
        client = MlflowClient(f"http://127.0.0.1:{port}")
        experiment = client.get_experiment_by_name(EXPERIMENT)
        assert experiment is not None
        [child] = client.search_runs([experiment.experiment_id], "attributes.run_name = 'train@1'")
        history = client.get_metric_history(child.info.run_id, "train/loss")
    assert [m.step for m in sorted(history, key=lambda m: m.step)] == list(range(STEPS))
    assert child.info.status == "FINISHED"
    assert child.data.params["beta"] == "0.1"
