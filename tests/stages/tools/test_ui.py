"""`spa ui` starts a real server, which nobody's list of processes tells a password of."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.mlflow_server import free_port, kill_group

SPA = [sys.executable, "-c", "from stages._app import run; run()", "ui"]
PASSWORD = "sEcReT"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The command that serves a database, and its address."""
    (tmp_path / "dvc.yaml").touch()
    port = free_port()
    started = subprocess.Popen(
        [*SPA, "--port", str(port)],
        cwd=tmp_path, start_new_session=True,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/{PASSWORD}.db"},
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            assert started.poll() is None
            try:
                requests.get(f"{address}/health", timeout=1)
                break
            except requests.RequestException:
                time.sleep(0.5)
        yield psutil.Process(started.pid), address
    finally:
        kill_group(started)


@pytest.mark.slow
def test_the_database_is_served_and_stands_on_no_command_line(
    served: tuple[psutil.Process, str], tmp_path: Path
) -> None:
    command, address = served
    found = requests.get(f"{address}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=10)
    assert found.json()["experiment"]["name"] == "Default"
    assert (tmp_path / f"{PASSWORD}.db").exists()
    lines = [" ".join(one.cmdline()) for one in command.children(recursive=True)]
    assert any("mlflow" in line for line in lines)
    assert not any(PASSWORD in line for line in lines)
