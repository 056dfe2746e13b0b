"""How long the data contract takes over many pairs, and how much memory.

    python benchmarks/check_speed.py [--pairs 30000] [--words 50]

Measures and Great Expectations, every check on; no reading or writing of files.
"""

import argparse
import random
import resource
import time
from itertools import islice

from spa.checks import run_checks
from spa.contract import DEFAULT_CHECKS
from spa.records import JudgedPair

WORDS = (
    "the a people river because bread and they often garden slowly when who make of in with town "
    "light water their morning is was not very much build carry song stone winter field to from"
).split()


def make_pairs(count: int, words: int) -> list[JudgedPair]:
    """Pairs of random words, two answers of about `words` words each."""
    draw = random.Random(0)

    def text(size: int) -> str:
        return " ".join(draw.choices(WORDS, k=max(1, round(draw.gauss(size, size / 5)))))

    return [
        JudgedPair(
            pair_id=f"p{n}", prompt_id=f"q{n}",
            prompt=[{"role": "user", "content": f"Why {text(10)} {n}?"}],
            chosen=text(words), rejected=text(words), chosen_finish_reason="stop",
            rejected_finish_reason="stop", chosen_id=f"a{n}", rejected_id=f"b{n}",
            margin=draw.uniform(0.1, 3.0), probability=0.6, method="implicit",
        )
        for n in range(count)
    ]  # fmt: skip


def main() -> None:
    """Print seconds and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=30_000)
    parser.add_argument("--words", type=int, default=50)
    asked = parser.parse_args()
    pairs = make_pairs(asked.pairs, asked.words)
    letters = sum(len(p.chosen) + len(p.rejected) for p in islice(pairs, 1000)) / 2000
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = run_checks(pairs, DEFAULT_CHECKS)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{asked.pairs} pairs, answers of {letters:.0f} characters: {wall:.1f} s ({cpu:.1f} s of "
        f"one core), peak {peak:.2f} GiB; {len(outcome.flagged)} flagged"
    )


if __name__ == "__main__":
    main()
