"""A disk that is full at any write: one clear line, nothing lost, the next run ends the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from spa.tracking.server import EXPERIMENT
from tests.pipeline.tiny_params import ROOT, write_pipeline

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler"
    ),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """failing_writes.c, ready to be preloaded."""
    library = tmp_path_factory.mktemp("library") / "failing_writes.so"
    source = Path(__file__).with_name("failing_writes.c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]
    subprocess.run([*command, library, source, "-ldl"], check=True)
    return library


def fail_writes(
    folder: Path, model: Path, library: Path, *, every: int
) -> dict[str, dict[str, Any]]:
    """What each stage of a tiny pipeline did when each `every`-th of its writes failed."""
    pipeline = write_pipeline(folder / "pipeline", model)
    text = "{device: cpu, generate_batch: 8, score_tokens: 256, checkpoint_seconds: 0}\n"
    (pipeline / "compute.yaml").write_text(text, encoding="utf-8")
    tracker = f"sqlite:///{folder}/mlflow.db"  # and its copies: a tracker loses no data of ours
    MlflowClient(tracker).create_experiment(EXPERIMENT, artifact_location=str(folder / "copies"))
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "MLFLOW_TRACKING_URI": tracker,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = ["-m", "tests.pipeline.full_disk", str(pipeline), str(library), str(every)]
    done = subprocess.run(
        [sys.executable, *command],
        env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return {row["stage"]: row for row in map(json.loads, done.stdout.splitlines())}


def check(found: dict[str, dict[str, Any]]) -> None:
    for stage, row in found.items():
        print(f"{stage:16} {row['failed']:4} of {row['writes']:4} writes failed")
    print(f"{sum(row['failed'] for row in found.values())} writes failed")
    assert {stage: row["wrong"] for stage, row in found.items() if row["wrong"]} == {}
    assert all(row["failed"] for row in found.values())


def test_a_full_disk_is_one_clear_line_and_loses_nothing(
    tmp_path: Path, tiny_folder: Path, library: Path
) -> None:
    check(fail_writes(tmp_path, tiny_folder, library, every=60))


@pytest.mark.exhaustive
def test_every_single_write_may_find_the_disk_full(
    tmp_path: Path, tiny_folder: Path, library: Path
) -> None:
    found = fail_writes(tmp_path, tiny_folder, library, every=1)
    check(found)
    assert sum(row["failed"] for row in found.values()) > 500
