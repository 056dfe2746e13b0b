"""A short form of `make chaos`: every stage of a tiny pipeline is killed once."""

import subprocess
import sys

import pytest

from tests.pipeline.tiny_params import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks what macOS does not let it fork"),
]


def test_stages_that_were_killed_end_with_the_same_bytes() -> None:
    command = ["-m", "tests.pipeline.chaos", "--kills", "19", "--repro-kills", "0", "--seed", "2"]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stages: same bytes" in done.stdout
    assert "19 kills, seed 2" in done.stdout
