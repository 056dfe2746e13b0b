"""`spa sweep` for real: three seeds of a tiny pipeline in DVC's queue, one of which fails."""

import csv
import subprocess
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from spa.layout import Layout
from spa.tracking.server import EXPERIMENT
from tests.pipeline.chaos import ENVIRONMENT
from tests.pipeline.in_process import run_stages
from tests.pipeline.tiny_params import write_pipeline

pytestmark = pytest.mark.slow
GIT = ["git", "-c", "user.name=one", "-c", "user.email=one@example.org"]
RUBRIC = """
def score(question: str, answer: str, finish_reason: str) -> float:
    with open("params.yaml") as params:
        if "seed: 2\\n" in params.readlines():
            raise ValueError("seed 2 fails")
    return -len(answer)
"""


def _done(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def _run(folder: Path, *command: str) -> str:
    done = _done(folder, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def layout(tmp_path: Path, tiny_folder: Path) -> Layout:
    """A finished run of one round, in git and DVC."""
    rubric = {"file": "rubric.py", "function": "score"}
    folder = write_pipeline(tmp_path / "swept", tiny_folder, rubric=rubric)
    (folder / "rubric.py").write_text(RUBRIC, encoding="utf-8")
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    del params["rounds"]["2"]
    text = yaml.safe_dump(params, sort_keys=False)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    run_stages(Layout(folder))
    _run(folder, "dvc", "commit", "--force", "--quiet")
    _run(folder, "git", "add", "--all")
    _run(folder, *GIT, "commit", "--quiet", "--message", "One round")
    return Layout(folder)


def test_seeds_run_in_the_queue_and_one_that_fails_stops_no_other(layout: Layout) -> None:
    sweep = ("spa", "sweep", "--seeds", "3")
    assert _run(layout.root, *sweep, "--dry").count("seed=") == 3
    done = _done(layout.root, *sweep)
    assert "3 experiments, 3 of them queued now" in done.stdout
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    name, rest = line.split(" ", 1)
    assert rest == f"(seed=2) has no result: `dvc queue logs {name}` shows why"
    assert "ValueError: seed 2 fails" in _run(layout.root, "dvc", "queue", "logs", name)
    with layout.sweep.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["setting"] for row in rows} == {"params.yaml"}
    assert {row["n"] for row in rows if row["figure"] != "judge_accuracy"} == {"2"}
    assert [row["round"] for row in rows if row["figure"] == "win_rate"] == ["0", "1", "rival"]
    assert _run(layout.root, "git", "status", "--porcelain") == ""
    assert "seed: 1\n" in layout.params.read_text(encoding="utf-8")

    client = MlflowClient(f"sqlite:///{layout.root}/mlflow.db")
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    query = "tags.`spa.level` = 'pipeline'"
    pipelines = client.search_runs([experiment.experiment_id], filter_string=query)
    assert sorted(run.data.params["seed"] for run in pipelines) == ["1", "2", "3"]

    again = _done(layout.root, *sweep)
    assert again.returncode == 1
    assert "3 experiments, 1 of them queued now" in again.stdout  # what failed is tried again
    assert _run(layout.root, *sweep[:2], "--show").strip() in done.stdout
