"""How a process that speaks the protocol is watched: what it does wrong becomes one clear line."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from spa.compute import Compute
from spa.errors import EngineError
from spa.generation.engine import Completion, Request
from spa.generation.vllm_engine import VllmEngine
from spa.generation.vllm_process import installed

SPEAKS = """
import json, sys, time
def say(**message):
    print(json.dumps(message), flush=True)
settings = json.loads(sys.stdin.readline())
"""
ANSWERS = """
say(ready=True, longest=100)
while line := sys.stdin.readline():
    rows = [json.loads(sys.stdin.readline()) for _ in range(json.loads(line)["requests"])]
    say(alive=True)
    for row in reversed(rows):
        say(id=row["id"], tokens=[row["seed"], *row["prompt"]], logprobs=[-1.0], finished=True)
"""
STAGE = """
import sys
from spa.generation.vllm_process import VllmProcess
VllmProcess(sys.argv[1], {"cores": []}, patience=60).longest()
"""
Python = Callable[..., str]
REQUESTS = [Request([3, 4], seed) for seed in range(5)]


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """Makes a `python` that runs a script of ours whatever it is asked to run."""

    def write(body: str, head: str = SPEAKS) -> str:
        file = tmp_path / "python"
        file.write_text(f"#!{sys.executable}\n{head}{body}")
        file.chmod(0o755)
        return str(file)

    return write


def _complete(python: str, patience: float = 20.0) -> list[Completion]:
    compute = Compute.model_validate(
        {"device": "cpu", "vllm": {"python": python, "patience": patience}}
    )
    engine = VllmEngine(Path("model"), compute, temperature=1.0, max_new_tokens=9, stop_tokens=(1,))
    with closing(engine):
        return engine.complete(REQUESTS)


def test_answers_come_back_in_order_however_they_end(python: Python) -> None:
    answers = _complete(python(ANSWERS))
    assert answers == [Completion([r.seed, *r.prompt], [-1.0], True) for r in REQUESTS]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise RuntimeError('no memory')", r"exit code 1 .* last words: .*: no memory$"),
        ("sys.exit(3)", r"ended with exit code 3 .* last words: none$"),
        ("print('INFO loading')", r"said 'INFO loading', wanted lines of JSON"),
        ("print(5)", r"said '5', wanted lines of JSON"),
        ("say(id=1)", r'said {"id": 1}, wanted that it is ready'),
        (ANSWERS.replace("logprobs", "odds"), r'said {"tokens": \[.*"odds".*, wanted an answer'),
        (ANSWERS.replace("rows)", "rows[1:])") + "    break", "ended with exit code 0 before"),
        (ANSWERS.replace("=100", "=10"), r"holds 10 tokens: found a prompt of 2 .* answer of 9"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said_in_one_line(python: Python, body: str, message: str) -> None:
    with pytest.raises(EngineError, match=message) as caught:
        _complete(python(body))
    assert "\n" not in str(caught.value)


def test_a_process_that_hangs_is_given_up(python: Python) -> None:
    with pytest.raises(EngineError, match=r"said nothing for 0.5 s.* raise vllm.patience"):
        _complete(python("time.sleep(60)"), patience=0.5)


def test_a_python_that_is_not_there() -> None:
    message = r"compute.yaml: vllm.python: found '/no/python', which cannot be started \(No such"
    with pytest.raises(EngineError, match=message):
        _complete("/no/python")
    with pytest.raises(EngineError, match=message):
        installed("/no/python")


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_an_environment_without_vllm_says_what_to_install() -> None:
    with pytest.raises(EngineError, match=r"vLLM is not installed there; .* vllm.python"):
        installed(sys.executable, check=True)


def test_vllm_ends_with_the_stage_even_if_that_is_killed(tmp_path: Path, python: Python) -> None:
    """The stage is killed while `import vllm` hangs, with a process started by it already."""
    (tmp_path / "vllm.py").write_text(
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "print(os.getpid(), child.pid, file=open('pids.new', 'w'), flush=True)\n"
        "os.rename('pids.new', 'pids')\n"
        "time.sleep(60)\n"
    )
    hanging = python(
        "",
        head=f"import runpy, sys; sys.path[0] = {str(tmp_path)!r}; del sys.argv[0]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')",
    )
    stage = subprocess.Popen([sys.executable, "-c", STAGE, hanging], cwd=tmp_path)
    pids = tmp_path / "pids"
    _wait(pids.exists)
    stage.kill()
    stage.wait()
    _wait(lambda: not any(map(_lives, pids.read_text().split())))


def _wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not until():
        assert time.monotonic() < end
        time.sleep(0.02)


def _lives(pid: str) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked after does not."""
    try:
        return bool(psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
