"""Study 2, after SPA's rounds: does the implicit judge learn more of GPT-4's preferences?

    python benchmarks/real_labels_rounds.py run --data DIR --splits 1 2 3 --answers 4 8
    python benchmarks/real_labels_rounds.py table                     # docs/results.md

What it asks, of what, and how it is read: docs/studies.md. `run` puts its own params and DIR's
balanced.jsonl into the pipeline that it is called in, which is to be a clone of its own. It
appends a line per split and number of answers a prompt to
benchmarks/results/real_labels_rounds.jsonl and skips those that have one.
"""

import argparse
import shutil
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import study
import yaml
from real_labels import pair_logps, surface_margins
from real_labels_tables import right_by

from spa.layout import Layout
from spa.metrics import bootstrap
from spa.models import load_policy, model_hash
from spa.param_files import load_compute
from spa.records import Pair
from spa.tables import read_table

RESULTS = study.ROOT / "benchmarks" / "results" / "real_labels_rounds.jsonl"
SOURCE = "data/raw/balanced.jsonl"
POLICIES = ("0", "1", "2")
PEERS = ("likelihood", "length", "surface")
SETTING: dict[str, Any] = {
    # judges nothing here, but stages depend on it
    "rubric": {"file": "spa/annotation/rubric.py", "function": "rubric_score"},
    "split": {"source": SOURCE, "seed_pairs": 128, "gold": 160, "development": 2, "test": 2},
    "rounds": {"1": {"prompts": 64}, "2": {"prompts": 64}},
}
Row = dict[str, Any]


def run(data: Path, splits: Sequence[int], answers: Sequence[int]) -> None:
    """Train two rounds for every run that has no result yet, and judge its held-out pairs.

    Args:
        answers: how many are sampled for a prompt, of which the judge pairs best and worst.
    """
    layout = Layout.find()
    own = (study.ROOT / "spa" / "presets" / "own.yaml").read_text(encoding="utf-8")
    shutil.copyfile(data / "balanced.jsonl", layout.root / SOURCE)
    done = {(row["split"], row["answers"]) for row in study.read_results(RESULTS)}
    for split, samples in product(splits, answers):
        if (split, samples) in done:
            continue
        changes = {**SETTING, "seed": split, "generate": {"samples": samples}}
        params = study.merged(yaml.safe_load(own), changes)
        study.reproduce(layout, params, [f"train@{POLICIES[-1]}"])
        study.append(RESULTS, {"split": split, "answers": samples, **_judged(layout)})
        print(f"split {split}, {samples} answers a prompt: done", flush=True)


def _judged(layout: Layout) -> Row:
    """Margins of the seed's pairs and of the held-out ones, by every policy and by its peers."""
    found = _before_rounds(layout)
    pairs = read_table(layout.pool("gold"), Pair)
    for name in POLICIES[1:]:
        margins = _margins(layout, name, pairs)
        for row in found["held_out"]:
            row[f"round {name}"] = margins[row["pair_id"]] - row["likelihood"]
    return found


def _before_rounds(layout: Layout) -> Row:
    """What no round changes; of a seed policy that has a row already, that row's."""
    policy = model_hash(layout.policy(POLICIES[0]))
    for row in study.read_results(RESULTS):
        if row["seed_policy"] == policy:
            return {name: row[name] for name in ("seed_policy", "seed", "held_out")}
    pools = {name: read_table(layout.pool(name), Pair) for name in ("seed", "gold")}
    base = _margins(layout, "base", [*pools["seed"], *pools["gold"]])
    rows: dict[str, list[Row]] = {
        name: [
            {
                "pair_id": pair.pair_id,
                "prompt_id": pair.prompt_id,
                "likelihood": base[pair.pair_id],
                "length": len(pair.chosen) - len(pair.rejected),
            }
            for pair in pairs
        ]
        for name, pairs in pools.items()
    }
    first = _margins(layout, POLICIES[0], pools["gold"])
    surface = surface_margins(pools["seed"], pools["gold"])
    for row, margin in zip(rows["gold"], surface, strict=True):
        row["surface"] = margin
        row[f"round {POLICIES[0]}"] = first[row["pair_id"]] - row["likelihood"]
    return {"seed_policy": policy, "seed": rows["seed"], "held_out": rows["gold"]}


def _margins(layout: Layout, policy: str, pairs: Sequence[Pair]) -> dict[str, float]:
    """log pi(chosen) - log pi(rejected) of each pair, in nats."""
    compute = load_compute(layout.compute)
    logps = pair_logps(load_policy(layout.policy(policy), compute), pairs, compute)
    return {pair.pair_id: a - b for pair, (a, b) in zip(pairs, logps, strict=True)}


def table() -> str:
    """All results so far as Markdown."""
    pieces = study.read_results(RESULTS)
    judges = (*(f"round {name}" for name in POLICIES), *PEERS)
    body, gaps = [], []
    for answers in sorted({piece["answers"] for piece in pieces}):
        group = [piece for piece in pieces if piece["answers"] == answers]
        prompts = [pair["prompt_id"] for piece in group for pair in piece["held_out"]]
        right = {judge: [x for piece in group for x in right_by(judge, piece)] for judge in judges}
        found = [bootstrap(right[judge], seed=0, clusters=prompts) for judge in judges]
        body.append([str(answers), str(len(group)), str(len(prompts)), *map(study.share, found)])
        last, first = judges[len(POLICIES) - 1], judges[0]
        best = max(PEERS, key=lambda judge: sum(right[judge]))
        for worse, better in ((first, last), (best, last)):
            gap = study.paired_difference(right[worse], right[better], seed=0, clusters=prompts)
            gaps.append([str(answers), f"{better} - {worse}", study.percent(gap)])
    header = ["answers a prompt", "splits", "pairs", *judges]
    return (
        study.markdown("Agreement with GPT-4 on held-out pairs, %", header, body)
        + "\n\n"
        + study.markdown(
            "What the rounds add, points", ["answers a prompt", "difference", "points"], gaps
        )
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train two rounds a split and judge")
    running.add_argument("--data", type=Path, required=True, help="folder of balanced.jsonl")
    running.add_argument("--splits", type=int, nargs="+", default=[1, 2, 3])
    running.add_argument("--answers", type=int, nargs="+", default=[4], help="sampled for a prompt")
    commands.add_parser("table", help="print the tables")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments.data.resolve(), arguments.splits, arguments.answers)
    else:
        print(table(), end="")


if __name__ == "__main__":
    main()
