"""Kill a tiny pipeline at random moments and see whether it still ends with the same bytes.

    python -m tests.pipeline.chaos --kills 100 --seed 1      # make chaos

An undisturbed run says what the data must be. Then `dvc repro` is started again and again and
its whole process group killed (SIGKILL) after a random time, until a run comes through; then a
fresh pipeline is taken, until there were as many kills as asked for.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from spa.files import hash_file
from tests.pipeline.tiny_params import write_pipeline
from tests.tiny import write_tiny_model

LONGEST = 12.0
"""Seconds after which a run is killed at the latest: some of a stage's start, work and commit."""
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
}


@dataclass
class Outcome:
    """What was killed where, and what differed at the end of each pipeline."""

    kills: Counter[str] = field(default_factory=Counter)
    different: list[list[str]] = field(default_factory=list)


def make_chaos(folder: Path, model: Path, *, kills: int, seed: int) -> Outcome:
    """Kill pipelines until `kills` runs of dvc were killed, and let each of them end."""
    draw = random.Random(seed)
    wanted = data_hashes(undisturbed(folder / "undisturbed", model))
    outcome = Outcome()
    while outcome.kills.total() < kills:
        pipeline = _write(folder / f"killed-{len(outcome.different)}", model)
        while not _killed(pipeline, draw.uniform(0, LONGEST), outcome.kills):
            if outcome.kills.total() >= kills:
                _killed(pipeline, float("inf"), outcome.kills)
                break
        found = data_hashes(pipeline)
        names = sorted(wanted.keys() | found.keys())
        outcome.different.append([n for n in names if wanted.get(n) != found.get(n)])
    return outcome


def undisturbed(folder: Path, model: Path) -> Path:
    """A pipeline that ran through at once."""
    _killed(_write(folder, model), float("inf"), Counter())
    return folder


def data_hashes(folder: Path) -> dict[str, str]:
    """Every file below data/, also what should not be there, and its hash."""
    data = folder / "data"
    return {
        str(file.relative_to(data)): hash_file(file)
        for file in sorted(data.rglob("*"))
        if file.is_file() and "raw" not in file.relative_to(data).parts[:1]
    }


def _write(folder: Path, model: Path) -> Path:
    write_pipeline(folder, model)
    text = "{device: cpu, generate_batch: 8, score_tokens: 256, checkpoint_seconds: 0}\n"
    (folder / "compute.yaml").write_text(text, encoding="utf-8")
    return folder


def _killed(folder: Path, seconds: float, kills: Counter[str]) -> bool:
    """Run dvc for at most so long; True if it came to its end before that.

    Raises:
        RuntimeError: it failed by itself.
    """
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
            code = process.wait(None if seconds == float("inf") else seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills[_running(log)] += 1
            return False
    if code:
        raise RuntimeError(log.read_text(encoding="utf-8")[-3000:])
    return True


def _running(log: Path) -> str:
    lines = log.read_text(encoding="utf-8").splitlines()
    started = [line.split("'")[1] for line in lines if line.startswith("Running stage")]
    return started[-1] if started else "dvc itself"


def main() -> None:
    """Print a table of kills, and exit with 1 where a pipeline ended with other bytes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_tiny_model(folder / "model", seed=0)
        outcome = make_chaos(folder, model, kills=chosen.kills, seed=chosen.seed)
    for stage, count in sorted(outcome.kills.items()):
        print(f"{stage:16} {count:4} kills")
    for number, names in enumerate(outcome.different):
        print(
            f"pipeline {number}: {'same bytes' if not names else 'different: ' + ', '.join(names)}"
        )
    print(
        f"{outcome.kills.total()} kills in {len(outcome.different)} pipelines, seed {chosen.seed}, "
        f"{time.monotonic() - start:.0f} s"
    )
    sys.exit(any(outcome.different))


if __name__ == "__main__":
    main()
