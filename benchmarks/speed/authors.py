"""The bookkeeping of the authors' code, as it is there, to be measured beside ours.

Two loops, each quadratic in the pairs. Source: github.com/kingdy2002/SPA,
trl/trl/trainer/dpo_trainer.py lines 1208 to 1231 (a reward joins a JSON file that is read and
rewritten whole under a lock) and alignment-handbook/scripts/run_self.py lines 186 to 218 (a
linear search over the index column, and four columns read whole, per prompt). Columns are
sliced, which gives a list at once, as `datasets` did when that code was written.
"""

import fcntl
import json
import tempfile
import time
from pathlib import Path
from typing import Any

MEASURED = (500, 1000)


def bookkeeping_seconds(count: int) -> float:
    """Seconds for `count` pairs: a n + b n^2 through two measured counts."""
    (n, s), (m, t) = [(size, _measure(size)) for size in MEASURED]
    b = (t / m - s / n) / (m - n)
    a = s / n - b * n
    return a * count + b * count**2


def _measure(count: int) -> float:
    from datasets import Dataset

    rows = Dataset.from_dict(
        {
            "index": [str(n) for n in range(count)],
            "prompt": [f"What is {n}?" for n in range(count)],
            "chosen": [f"It is {n}, as everybody knows." for n in range(count)],
            "rejected": [f"Nobody knows what {n} is." for n in range(count)],
        }
    )
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "rewards.json"
        start = time.perf_counter()
        for n in range(count):
            save_rewards(file, str(n), {"0": 0.5 * n, "1": 0.25 * n})
        label(rows, json.loads(file.read_text()))
        return time.perf_counter() - start


def save_rewards(file: Path, index: str, rewards: dict[str, float]) -> None:
    """One pair's rewards join the file of all: read, parsed and written anew."""
    if not file.exists():
        file.write_text("{}")
    with file.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        found = json.load(stream)
        found[index] = rewards
        stream.seek(0)
        json.dump(found, stream, indent=4)
        stream.truncate()


def label(rows: Any, rewards: dict[str, dict[str, float]]) -> list[dict[str, str]]:
    """Pairs by reward, each prompt looked for in the whole column."""
    pairs = []
    for index, own in rewards.items():
        place = rows["index"][:].index(index)
        first = own["0"] >= own["1"]
        answers = (rows["chosen"][:], rows["rejected"][:])
        chosen, rejected = answers if first else reversed(answers)
        pairs.append(
            {
                "index": rows["index"][:][place],
                "prompt": rows["prompt"][:][place],
                "chosen": chosen[place],
                "rejected": rejected[place],
            }
        )
    return pairs
