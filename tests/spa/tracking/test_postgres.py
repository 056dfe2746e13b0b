"""Many processes log at once to a server on PostgreSQL: nothing is lost, nothing is there twice."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from spa.layout import Layout
from spa.tracking.registry import CHAMPION, REGISTERED
from spa.tracking.server import EXPERIMENT, pipeline_key
from tests.mlflow_server import free_port, mlflow_server
from tests.postgres import postgres
from tests.spa.tracking.logging_pipeline import STEPS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
STAGES = ("seed", "generate@1", "train@1")
CURVES: dict[str, Callable[[int], float]] = {
    "train/loss": lambda step: 1 / (step + 1),
    "train/margin": lambda step: step / 10,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    with postgres() as backend, mlflow_server(folder, port, backend):
        yield f"http://127.0.0.1:{port}"


def _pipeline(folder: Path, seed: int) -> Layout:
    layout = Layout(folder)
    layout.raw.mkdir(parents=True)
    layout.report.mkdir()
    layout.params.write_text(f"seed: {seed}\ntrain: {{beta: 0.1}}\n")
    (layout.raw / "pairs.jsonl").write_text("{}\n")
    (layout.report / "index.html").write_text(f"seed {seed}")
    for round in (0, 1):
        layout.policy(round).mkdir(parents=True)
        (layout.policy(round) / "model.safetensors").write_text(f"{seed} {round}")
    return layout


def _at_once(server: str, *jobs: tuple[Layout, tuple[str, ...]]) -> None:
    """Start a process for each job, and let them all begin when the last has imported all."""
    module = [sys.executable, "-m", "tests.spa.tracking.logging_pipeline"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": server}
    processes = [
        subprocess.Popen(
            [*module, str(layout.root), *stages], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for layout, stages in jobs
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert "warning" not in said, said


def _runs(client: MlflowClient, query: str) -> list[Any]:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], filter_string=query))


@pytest.fixture(scope="module")
def logged(server: str, tmp_path_factory: pytest.TempPathFactory) -> list[Layout]:
    """Two pipelines that log at once, their later stages by two processes each; and all of it
    again, as `dvc repro --force` does."""
    folders = tmp_path_factory.mktemp("pipelines")
    layouts = [_pipeline(folders / str(seed), seed) for seed in (1, 2)]
    for _ in range(2):
        _at_once(server, *((own, STAGES[:1]) for own in layouts))
        _at_once(server, *((own, (stage,)) for own in layouts for stage in STAGES[1:]))
        _at_once(server, *((own, ("report",)) for own in layouts))
    return layouts


def test_every_pipeline_has_one_run_with_its_params_figures_and_files(
    server: str, logged: list[Layout]
) -> None:
    client = MlflowClient(server)
    assert len(_runs(client, "tags.`spa.level` = 'pipeline'")) == 2
    for layout, seed in zip(logged, "12", strict=True):
        [parent] = _runs(client, f"tags.`spa.key` = '{pipeline_key(layout)}'")
        assert parent.info.status == "FINISHED"
        assert parent.data.params == {"seed": seed, "train.beta": "0.1"}
        history = client.get_metric_history(parent.info.run_id, "eval/win_rate")
        assert sorted((m.step, m.value) for m in history) == [(0, 0.55), (1, 0.7)]
        assert parent.data.metrics["rival/win_rate"] == 0.6
        assert parent.data.metrics["data/kept"] == 60
        [page] = client.list_artifacts(parent.info.run_id, "report")
        there = client.download_artifacts(parent.info.run_id, page.path)
        assert Path(there).read_text() == f"seed {seed}"


def test_every_stage_has_one_run_with_every_step(server: str, logged: list[Layout]) -> None:
    client = MlflowClient(server)
    for layout in logged:
        [parent] = _runs(client, f"tags.`spa.key` = '{pipeline_key(layout)}'")
        own = _runs(client, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
        assert sorted(run.info.run_name for run in own) == sorted(STAGES)
        for run in own:
            assert run.info.status == "FINISHED"
            assert run.data.params == {"beta": "0.1", "nested.a": "1"}
            assert run.data.tags["spa.engine"] == "transformers"
            assert [d.dataset.name for d in run.inputs.dataset_inputs] == ["data/raw/pairs.jsonl"]
            for name, value in CURVES.items():
                history = client.get_metric_history(run.info.run_id, name)
                wanted = [(step, value(step)) for step in range(STEPS)]
                assert sorted((m.step, m.value) for m in history) == wanted


def test_every_policy_is_one_version(server: str, logged: list[Layout]) -> None:
    client = MlflowClient(server)
    versions = client.search_model_versions(f"name = '{REGISTERED}'")
    found = sorted((v.tags["spa.key"], v.tags["spa.round"]) for v in versions)
    assert found == sorted((pipeline_key(own), round) for own in logged for round in "01")
    champion = client.get_model_version_by_alias(REGISTERED, CHAMPION)
    assert champion.tags["spa.round"] == "1"
