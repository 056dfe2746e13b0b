"""MLflow on a real database: one parent, children under it, curves that are written once."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from spa.layout import Layout
from spa.records import TrainingRow
from spa.tables import write_table
from spa.tracking.rounds import log_rounds
from spa.tracking.server import EXPERIMENT, dvc_md5, pipeline_key, tolerant, tracking_uri
from spa.tracking.stages import track

ROWS: list[dict[str, Any]] = [
    {"round": "base", "win_rate": 0.5},
    {"round": "0", "win_rate": 0.55, "annotator": "rubric", "judge_accuracy": None},
    {"round": "1", "win_rate": 0.7, "kept": 60},
    {"round": "rival", "win_rate": 0.6},
]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Layout]:
    root = tmp_path_factory.mktemp("tracked")
    shutil.copy(database, root)
    (root / "params.yaml").write_text("seed: 1\ntrain: {beta: 0.1}\n")
    (root / "data" / "raw").mkdir(parents=True)
    (root / "data" / "raw" / "pairs.jsonl").write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield Layout(root)


def _runs(layout: Layout, query: str) -> list[Any]:
    client = MlflowClient(tracking_uri(layout))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], filter_string=query))


def _parents(layout: Layout) -> list[Any]:
    return _runs(layout, "tags.`spa.level` = 'pipeline'")


def test_stages_are_children_of_one_parent(layout: Layout) -> None:
    pairs = layout.raw / "pairs.jsonl"
    with track(layout, "train", 1, {"beta": 0.1, "nested": {"a": 1}}) as run:
        run.metrics({"train/loss": 0.7}, step=0)
        run.metrics({"train/loss": 0.6}, step=1)
        run.dataset(pairs, context="training")
    with track(layout, "split", None, {}):
        pass
    [parent] = _parents(layout)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["train.beta"] == "0.1"
    children = _runs(layout, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {child.info.run_name for child in children} == {"train@1", "split"}
    [child] = [c for c in children if c.info.run_name == "train@1"]
    assert child.data.params == {"beta": "0.1", "nested.a": "1"}
    assert child.data.metrics == {"train/loss": 0.6}
    [dataset] = child.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == (
        "data/raw/pairs.jsonl",
        "8a80554c91d9fca8acb82f023de02f11",  # md5 of "{}\n", as dvc.lock would have it
    )
    assert dvc_md5(layout, pairs) == dataset.dataset.digest


def test_a_stage_that_runs_again_replaces_its_child(layout: Layout) -> None:
    for _ in range(2):
        with track(layout, "judge", 1, {}):
            pass
    assert len(_runs(layout, "attributes.run_name = 'judge@1'")) == 1


def test_a_failing_stage_leaves_a_failed_run(layout: Layout) -> None:
    def fail() -> None:
        with track(layout, "filter", 2, {}):
            raise RuntimeError("too dirty")

    with pytest.raises(RuntimeError, match="too dirty"):
        fail()
    [run] = _runs(layout, "attributes.run_name = 'filter@2'")
    assert run.info.status == "FAILED"


def test_rounds_are_steps_of_the_parent_and_written_once(layout: Layout) -> None:
    for _ in range(2):
        log_rounds(layout, ROWS)
    client = MlflowClient(tracking_uri(layout))
    [parent] = _parents(layout)
    history = client.get_metric_history(parent.info.run_id, "eval/win_rate")
    assert [(m.step, m.value) for m in history] == [(0, 0.55), (1, 0.7)]
    assert parent.data.metrics["rival/win_rate"] == 0.6
    assert parent.data.metrics["data/kept"] == 60


def test_curves_of_a_round_that_did_not_run_are_rebuilt_from_its_log(layout: Layout) -> None:
    row: dict[str, Any] = {
        "pair_id": "p", "loss": 0.5, "margin": 0.2, "extrapolated_margin": None,
        "confidence": 0.6, "threshold": None, "flagged": False, "refined": False,
        "learning_rate": 1e-5,
    }  # fmt: skip
    log = [TrainingRow(step=step, **row) for step in (0, 0, 1)]
    write_table(layout.training_log(0), log, TrainingRow)
    log_rounds(layout, ROWS)
    [run] = _runs(layout, "attributes.run_name = 'seed'")
    history = MlflowClient(tracking_uri(layout)).get_metric_history(run.info.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(0, 0.5), (1, 0.5)]
    assert run.data.metrics["train/reward_accuracy"] == 1.0


def test_other_params_or_other_data_are_another_pipeline(layout: Layout) -> None:
    before = pipeline_key(layout)
    (layout.raw / "pairs.jsonl").write_text("{} \n")
    middle = pipeline_key(layout)
    layout.params.write_text("seed: 2\n")
    assert len({before, middle, pipeline_key(layout)}) == 3


def test_a_server_that_cannot_be_reached_is_said_and_stops_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done: list[Path] = []
    with track(layout, "judge", 1, {}) as run:
        run.metrics({"a": 1.0})
        run.dataset(layout.raw / "pairs.jsonl", context="x")
        run.tags({"a": "b"})
        done.append(layout.root)
    assert done
    assert "warning: MLflow cannot be reached" in capsys.readouterr().err


def test_a_damaged_database_is_said_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tolerant, "said", False, raising=False)
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    with track(Layout(tmp_path), "judge", 1, {}) as run:
        run.metrics({"a": 1.0})
    assert "warning: MLflow cannot be reached" in capsys.readouterr().err
    assert (tmp_path / "mlflow.db").read_bytes() == b"no database" * 100


def test_a_database_that_takes_nothing_is_one_line(
    tmp_path: Path,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tolerant, "said", False, raising=False)
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    closed = "BEFORE INSERT ON runs BEGIN SELECT RAISE(FAIL, 'closed to us'); END"
    with sqlite3.connect(shutil.copy(database, tmp_path)) as connection:
        connection.execute(f"CREATE TRIGGER closed {closed}")
    with track(Layout(tmp_path), "judge", 1, {}) as run:
        run.metrics({"a": 1.0})
    said = capsys.readouterr().err
    assert said.startswith("warning: MLflow cannot be reached, runs are not logged (")
    assert "sqlite3.IntegrityError" in said
    assert said.count("\n") == 1


def test_nothing_half_made_is_taken_for_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process that was killed while it made the database leaves behind."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    (tmp_path / "data" / "raw").mkdir(parents=True)
    left = tmp_path / ".mlflow.db.999999999.tmp"
    left.write_bytes(b"half a database")
    layout = Layout(tmp_path)
    with track(layout, "judge", 1, {}):
        pass
    assert not left.exists()
    assert len(_runs(layout, "attributes.run_name = 'judge@1'")) == 1
