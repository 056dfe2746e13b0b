"""Processes of a training on this machine: they meet, none is left, and nobody else gets in."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spa.compute import Compute
from spa.errors import TrainingError
from spa.launching import launch
from tests.spa.test_processes import _lives, _wait, _with_path

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LOOPBACK = "0100007F"
TWO = Compute(device="cpu", processes=2)


@pytest.fixture(autouse=True)
def _places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_two_processes_meet(tmp_path: Path) -> None:
    launch("tests.pipeline.launched", [str(tmp_path), "meet"], TWO)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == ["[0, 1]"] * 2


def test_no_pass_waits_for_another_processs_buffers(tmp_path: Path) -> None:
    """Processes make different numbers of passes; no warning of torch's comes either."""
    launch("tests.pipeline.launched", [str(tmp_path), "pass"], TWO)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == ["[0.0]", "[1.0]"]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("fail", r"process 1 of 2 ended with exit code 1 \(.*weights: not found\); wanted 0"),
        (
            "fail at work",
            r"process 1 of 2 ended with exit code 1 \(.*weights: not found\); wanted 0",
        ),
        (
            "fail and talk on",
            r"process 1 of 2 ended with exit code 1 \(weights: not found\); wanted 0",
        ),
        ("die", r"process 1 of 2 ended with exit code -9"),
    ],
)
def test_one_that_ends_badly_ends_all_and_is_told(tmp_path: Path, task: str, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        launch("tests.pipeline.launched", [str(tmp_path), task], TWO)
    assert not any(_lives(int(file.read_text())) for file in tmp_path.glob("*.pid"))


def test_where_the_first_fails_its_exit_code_is_this_ones(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        launch("tests.pipeline.launched", [str(tmp_path), "fail first"], TWO)
    assert stop.value.code == 1


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[list[int]]:
    """A process that launches, and the two that it has launched, which have met and wait."""
    code = (
        "from spa.compute import Compute\n"
        "from spa.launching import launch\n"
        f"launch('tests.pipeline.launched', [{str(tmp_path)!r}, 'wait'], "
        "Compute(device='cpu', processes=2))"
    )
    launching = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=_with_path(ROOT))
    files = [tmp_path / f"{rank}.pid" for rank in (0, 1)]
    _wait(lambda: all(file.exists() and file.read_text() for file in files))
    yield [launching.pid, *(int(file.read_text()) for file in files)]
    launching.kill()
    launching.wait()


def test_no_process_outlives_the_one_that_launched_it(waiting: list[int]) -> None:
    os.kill(waiting[0], signal.SIGKILL)
    _wait(lambda: not any(_lives(process) for process in waiting))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who listens")
def test_they_listen_to_this_machine_alone(waiting: list[int]) -> None:
    """Torch's own launcher listens at every address, all zeros, in the process that launches."""
    assert set().union(*map(_listening, waiting)) == {LOOPBACK}


def _listening(process: int) -> set[str]:
    """Addresses, in /proc's hexadecimal, at which a process waits for others."""
    own = {os.readlink(open_file) for open_file in Path(f"/proc/{process}/fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                found.add(fields[1].partition(":")[0])
    return found
