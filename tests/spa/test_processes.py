"""Shares of work in processes of their own, which no longer live than the one that asks."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spa.chunks import Chunks
from spa.compute import Compute
from spa.errors import EngineError, ModelError
from spa.generation.spread_engine import SpreadEngine
from spa.generation.transformers_engine import TransformersEngine
from spa.models import Policy, share_of
from spa.processes import run_shares
from spa.scoring import Reader, answer_logps
from tests.spa.generation.questions import make_requests
from tests.spa.token_sequences import answers_to_one, sequences

TWO = Compute(device="cpu", processes=2)


def place(number: int, share: str) -> tuple[int, str, bool]:
    """What a process knows of itself, and that it is another one."""
    return number, share, os.getpid() != os.getppid()


def fail(number: int, share: str) -> None:
    if number == 1:
        raise ModelError(f"{share}: not found; wanted a model")


def die(number: int, share: str) -> None:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def write_and_sleep(number: int, share: str) -> None:
    Path(share).write_text(str(os.getpid()))
    time.sleep(60)


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
        "from tests.spa.test_processes import write_and_sleep\n"
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


def test_two_processes_read_and_sample_as_one_and_keep_what_they_did(
    tiny: Policy, tiny_folder: Path, tmp_path: Path
) -> None:
    chunks = Chunks(tmp_path / "chunks")
    asked = [*answers_to_one(3), *sequences(6), *answers_to_one(2)]
    one = answer_logps(tiny, asked, token_budget=256)
    two = Reader(tiny_folder, TWO, chunks).sequences(asked)
    assert two == pytest.approx(one, abs=1e-4)
    kept = len(list(chunks.folder.iterdir()))
    assert kept >= 2
    requests = make_requests(tiny)
    alone = TransformersEngine(tiny, temperature=1.0, max_new_tokens=12, batch=64)
    spread = SpreadEngine(tiny_folder, 1.0, 12, TWO, chunks)
    answers = spread.complete(requests)
    assert [a.tokens for a in answers] == [a.tokens for a in alone.complete(requests)]
    assert len(list(chunks.folder.iterdir())) >= kept + 2


def test_each_process_has_its_own_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    cards = [share_of(Compute(processes=3), number).device for number in range(3)]
    assert cards == ["cuda:0", "cuda:1", "cuda:2"]
    assert share_of(TWO, 1).device == "cpu"
    assert share_of(TWO, 1).processes == 1
