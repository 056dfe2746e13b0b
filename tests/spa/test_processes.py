"""Shares of work in processes of their own, which no longer live than the one that asks."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spa.compute import Compute
from spa.errors import EngineError, ModelError
from spa.models import share_of
from spa.processes import run_shares
from tests.spa.shares import die, fail, place


def test_every_share_has_a_process_and_results_keep_their_order() -> None:
    assert run_shares(place, ["a", "b"]) == [(0, "a", True), (1, "b", True)]


def test_errors_come_back_as_they_are() -> None:
    with pytest.raises(ModelError, match="b: not found; wanted a model"):
        run_shares(fail, ["a", "b"])


def test_a_killed_process_is_said() -> None:
    with pytest.raises(EngineError, match=r"one of 2 processes was killed; .* lower processes"):
        run_shares(die, ["a", "b"])


def test_no_process_outlives_the_one_that_asked(tmp_path: Path) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    code = (
        "from spa.processes import run_shares\n"
        "from tests.spa.shares import write_and_sleep\n"
        f"if __name__ == '__main__': run_shares(write_and_sleep, {[str(f) for f in files]})"
    )
    script = tmp_path / "asks.py"
    script.write_text(code)
    root = Path(__file__).parents[2]
    asking = subprocess.Popen([sys.executable, str(script)], cwd=root, env=_with_path(root))
    _wait(lambda: all(f.exists() and f.read_text() for f in files))
    asking.kill()
    asking.wait()
    _wait(lambda: not any(_lives(int(f.read_text())) for f in files))


def _with_path(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root)}


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _lives(process: int) -> bool:
    """Whether a process runs: one that has ended may stay listed until it is waited for."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_each_process_has_its_own_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    cards = [share_of(Compute(processes=3), number).device for number in range(3)]
    assert cards == ["cuda:0", "cuda:1", "cuda:2"]
    two = share_of(Compute(device="cpu", processes=2), 1)
    assert (two.device, two.processes) == ("cpu", 1)
