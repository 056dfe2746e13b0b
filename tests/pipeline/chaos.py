"""Kill a tiny pipeline at random moments and see whether it still ends with the same bytes.

    python -m tests.pipeline.chaos --kills 100 --repro-kills 10 --seed 1      # make chaos

An undisturbed run says what the data must be. Then every stage is started again and again and
its process group killed (SIGKILL) after a random part of the time that it takes, before it may
end; and `dvc repro` as a whole is killed in the same way until it comes through.
"""

import argparse
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import torch

from spa.dag import Stage
from spa.doctor.leftovers import damaged_lock
from spa.files import hash_file
from spa.layout import Layout
from stages._app import run
from tests.pipeline.in_process import in_order
from tests.pipeline.tiny_params import ROOT, write_pipeline
from tests.tiny import write_tiny_model

LONGEST = 45.0
"""Seconds after which `dvc repro` is killed at the latest: enough for a stage or two."""
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
}


@dataclass
class Outcome:
    """How often what was killed, and the files of each pipeline that differ at its end."""

    kills: Counter[str] = field(default_factory=Counter)
    different: dict[str, list[str]] = field(default_factory=dict)


def make_chaos(folder: Path, model: Path, *, kills: int, repro_kills: int, seed: int) -> Outcome:
    """Kill the stages of one pipeline `kills` times in all, and `dvc repro` of another."""
    _import_all()
    draw, outcome = random.Random(seed), Outcome()
    undisturbed = _write(folder / "undisturbed", model)
    stages = in_order(Layout(undisturbed))
    seconds = {stage.name: _finish(undisturbed, stage) for stage in stages}
    wanted = data_hashes(undisturbed)
    print(f"undisturbed: {sum(seconds.values()):.0f} s", flush=True)

    pipeline = _write(folder / "killed", model)
    for number, stage in enumerate(stages):
        for _ in range(kills // len(stages) + (number < kills % len(stages))):
            while not _is_killed(pipeline, stage, draw.uniform(0, seconds[stage.name])):
                pass  # it was quicker; killed runs alone are counted
            outcome.kills[stage.name] += 1
        _finish(pipeline, stage)
        print(f"{stage.name:16} {outcome.kills[stage.name]:4} kills", flush=True)
    outcome.different["stages"] = _different(wanted, pipeline)

    if repro_kills:
        pipeline = _write(folder / "repro", model)
        while outcome.kills["dvc repro"] < repro_kills:
            if _repro(pipeline, draw.uniform(0, LONGEST)):
                break  # it came to its end before the last of the kills
            outcome.kills["dvc repro"] += 1
        _repro(pipeline, None)
        outcome.different["dvc repro"] = _different(wanted, pipeline)
    return outcome


def data_hashes(folder: Path) -> dict[str, str]:
    """Every file below data/ and of unfinished work, also what should not be there, hashed."""
    files = [p for name in ("data", ".cache") for p in (folder / name).rglob("*") if p.is_file()]
    names = {str(file.relative_to(folder)): file for file in sorted(files)}
    return {name: hash_file(file) for name, file in names.items() if "data/raw/" not in name}


def _different(wanted: dict[str, str], folder: Path) -> list[str]:
    found = data_hashes(folder)
    return [n for n in sorted(wanted.keys() | found.keys()) if wanted.get(n) != found.get(n)]


def _write(folder: Path, model: Path) -> Path:
    write_pipeline(folder, model)
    text = "{device: cpu, generate_batch: 8, score_tokens: 256, checkpoint_seconds: 0}\n"
    (folder / "compute.yaml").write_text(text, encoding="utf-8")
    return folder


def _import_all() -> None:
    """Import what stages import when they are called, so that each fork need not."""
    for folder in ("spa", "stages"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if file.parent.name != "vllm_side":  # of another environment
                import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    for name in ("mlflow", "accelerate", "transformers"):
        import_module(name)


def _finish(pipeline: Path, stage: Stage) -> float:
    """Run a stage to its end; the seconds that it took.

    Raises:
        RuntimeError: it failed by itself.
    """
    start = time.monotonic()
    if code := _wait(_fork(pipeline, stage), None):
        log = (pipeline / "stage.log").read_text(encoding="utf-8")
        raise RuntimeError(f"{stage.name}: exit code {code}: {log[-3000:]}")
    return time.monotonic() - start


def _is_killed(pipeline: Path, stage: Stage, seconds: float) -> bool:
    """Start a stage and kill it after so long; False where it had ended before."""
    return _wait(_fork(pipeline, stage), seconds) == -signal.SIGKILL


def _fork(pipeline: Path, stage: Stage) -> int:
    """Run a stage in a process group of its own, forked, so that nothing is imported anew."""
    if pid := os.fork():
        return pid
    os.setsid()
    os.chdir(pipeline)
    log = os.open("stage.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    try:
        run(shlex.split(stage.cmd)[1:])
    except SystemExit as stop:
        os._exit(int(stop.code or 0))
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    os._exit(99)


def _wait(pid: int, seconds: float | None) -> int:
    """The exit code of a process, minus the signal where it was killed after `seconds`."""
    end = time.monotonic() + (float("inf") if seconds is None else seconds)
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    _kill_group(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # no group of its own in its first microseconds
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _repro(folder: Path, seconds: float | None) -> bool:
    """Run `dvc repro` for at most so long; True if it came to its end before that.

    Raises:
        RuntimeError: it failed by itself.
    """
    if lock := damaged_lock(folder):
        print("dvc was killed while it wrote its lock, which is deleted as `spa doctor` says")
        lock.unlink()
    log = folder / "repro.log"
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            ["dvc", "repro"],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False
    if code:
        raise RuntimeError(log.read_text(encoding="utf-8")[-3000:])
    return True


def main() -> None:
    """Exit with 1 where a pipeline ended with other bytes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100, help="kills of single stages")
    parser.add_argument("--repro-kills", type=int, default=10, help="kills of dvc repro")
    parser.add_argument("--seed", type=int, default=1)
    chosen = vars(parser.parse_args())
    torch.set_num_threads(1)  # what is forked must not have begun threads
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_tiny_model(folder / "model", seed=0)
        outcome = make_chaos(folder, model, **chosen)
    for name, names in outcome.different.items():
        print(f"{name}: {'same bytes' if not names else 'different: ' + ', '.join(names)}")
    print(f"dvc repro {outcome.kills['dvc repro']} kills")
    total = outcome.kills.total()
    print(f"{total} kills, seed {chosen['seed']}, {time.monotonic() - start:.0f} s")
    sys.exit(any(outcome.different.values()))


if __name__ == "__main__":
    main()
