"""Two `dvc repro` at once: one works, the other waits or says why not, and nothing is spoiled."""

import subprocess
from pathlib import Path

import pytest

from spa.layout import Layout
from tests.pipeline.chaos import ENVIRONMENT, data_hashes
from tests.pipeline.in_process import run_stages
from tests.pipeline.tiny_params import write_pipeline

pytestmark = pytest.mark.slow
COMMAND = ["dvc", "repro", "seed"]


def _start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        COMMAND, cwd=folder, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_two_repros_at_once_spoil_nothing(tmp_path: Path, tiny_folder: Path) -> None:
    alone = write_pipeline(tmp_path / "alone", tiny_folder)
    run_stages(Layout(alone), until="seed")
    shared = write_pipeline(tmp_path / "shared", tiny_folder)
    both = [_start(shared), _start(shared)]
    outputs = [process.communicate()[0] for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes, outputs
    for code, output in zip(codes, outputs, strict=True):
        assert code == 0 or "is busy" in output or "acquire lock" in output, output
    subprocess.run(COMMAND, cwd=shared, env=ENVIRONMENT, check=True, capture_output=True)
    assert data_hashes(shared) == data_hashes(alone)
