"""Run benchmarks, print a line each, and write benchmarks/results.json and docs/performance.md."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speed import data_path, judging, overhead, sampling, training
from speed.page import record
from speed.ratios import Comparison, Figure, Outcome, compare
from speed.side import run_side
from speed.work import make_work

ROOT = Path(__file__).parents[2]
GROUPS: dict[str, Sequence[Comparison]] = {
    "training": training.COMPARISONS,
    "judging": judging.COMPARISONS,
    "bookkeeping": judging.BOOKKEEPING,
    "sampling": sampling.COMPARISONS,
    "data": data_path.COMPARISONS,
    "overhead": overhead.COMPARISONS,
    "share": overhead.SHARE,
}
MODELS = ("training", "judging", "sampling")


def main() -> None:
    """Measure the groups asked for; the others keep what was measured before."""
    asked = _arguments()
    work = _work(asked)
    for name in asked.groups:
        key = name if asked.label is None else f"{name}-{asked.label}"
        figures, runs = measure(GROUPS[name], work, runs=asked.runs)
        record(ROOT, key, figures, runs, _described(work) if name in MODELS else {})


def measure(
    asked: Sequence[Comparison], work: dict[str, Any], *, runs: int
) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Run every side once per run, in an order that turns round, and compare."""
    sides = list(dict.fromkeys(side for c in asked for side in (c.ours, *c.peers)))
    seen: list[dict[str, Outcome]] = []
    for number in range(runs):
        order = sides if number % 2 == 0 else sides[::-1]
        seen.append({side: run_side(side, work) for side in order})
        _check(seen[-1])
    figures = [compare(comparison, seen) for comparison in asked]
    for figure in figures:
        print(figure.line(), flush=True)
    outcomes = [{side: asdict(outcome) for side, outcome in run.items()} for run in seen]
    return figures, _without_lists(outcomes)


def _check(run: dict[str, Outcome]) -> None:
    """The same work must have the same results: a fast path that changes them is a bug."""
    for key, tolerance in (("losses", 1e-3), ("logps", 1e-2)):
        lists = {s: o.figures[key] for s, o in run.items() if key in o.figures}
        lists.pop("training:ours_extrapolated", None)  # another loss
        for side, numbers in lists.items():
            first = next(iter(lists.values()))
            off = max(abs(a - b) for a, b in zip(first, numbers, strict=True))
            if off > tolerance:
                raise ValueError(f"{side}: {key} differ by {off}; not the same work")


def _without_lists(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for run in outcomes:
        for outcome in run.values():
            outcome["figures"] = {
                k: v for k, v in outcome["figures"].items() if not isinstance(v, list)
            }
    return outcomes


def _described(work: dict[str, Any]) -> dict[str, Any]:
    """What models were given, in the page's words."""
    return {
        "pairs": len(work["pairs"]),
        "tokens": work["tokens"],
        "pairs a pass": work["micro_pairs"],
        "answers a batch": work["generate_batch"],
    }


def _work(asked: argparse.Namespace) -> dict[str, Any]:
    work: dict[str, Any] = {"bookkeeping_pairs": 20_000, "run": str(asked.run)}
    if any(name in MODELS for name in asked.groups):
        work |= make_work(asked.model, asked.pairs, pairs=asked.n, micro_pairs=asked.micro_pairs)
        work["generate_batch"] = asked.generate_batch
    return work


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    add = parser.add_argument
    add("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all by default")
    add("--runs", type=int, default=3, help="times that every side runs")
    add("--model", type=Path, default=ROOT / "data/base/policy", help="policy folder")
    add("--pairs", type=Path, default=ROOT / "data/raw/starter/pairs.jsonl", help="preference file")
    add("--n", type=int, default=64, help="pairs to train on and to judge; a round's")
    add("--micro-pairs", type=int, default=4, help="pairs per pass, on both sides")
    add("--generate-batch", type=int, default=128, help="answers sampled at once, on both sides")
    add("--label", help="keep the figures under GROUP-LABEL, beside those of other pairs")
    add("--run", type=Path, default=ROOT, help="a finished starter run, whose stage time counts")
    found = parser.parse_args()
    unknown = set(found.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    found.groups = found.groups or list(_possible(found))
    return found


def _possible(asked: argparse.Namespace) -> Iterator[str]:
    for name in GROUPS:
        if name == "share" and not (asked.run / "mlflow.db").exists():
            print("share: left out, as no finished run was found; `make repro` makes one")
        else:
            yield name


if __name__ == "__main__":
    main()
