"""The starter under several seeds, with the implicit judge and with random labels.

    python benchmarks/starter_seeds.py run --seeds 6 7 8     # hours; in a clone of its own
    python benchmarks/starter_seeds.py table                 # docs/results.md from the results

`run` changes seed, judge.method and split.test in params.yaml of the pipeline it is called in,
runs `dvc repro` and appends one line per pipeline to benchmarks/results/starter_seeds.jsonl as
it finishes, with the outcome of every test prompt, so that `table` can pair them. Pipelines
that stand there already are not run again, so that a study that was stopped goes on: name
another file with --results to study another recipe. Stages shared by two pipelines of one seed
come from DVC's cache.
"""

import argparse
import json
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import study

from spa.calibration import correct
from spa.files import read_json
from spa.layout import Layout
from spa.metrics import Interval, bootstrap

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "starter_seeds.jsonl"
METHODS = ("implicit", "random")
POLICIES = ("base", "0", "1", "2", "rival")


def run(seeds: Sequence[int], methods: Sequence[str], test: int, results: Path) -> None:
    """Run every pipeline that has no result yet and append its result."""
    layout = Layout.find()
    done = {(row["seed"], row["method"]) for row in read_results(results)}
    for seed in seeds:
        for method in methods:
            if (seed, method) in done:
                continue
            text = layout.params.read_text(encoding="utf-8")
            text = re.sub(r"(?m)^seed: .*$", f"seed: {seed}", text)
            text = re.sub(r"(?m)^  method: .*$", f"  method: {method}", text)
            text = re.sub(r"(?m)^  test: .*$", f"  test: {test}", text)
            layout.params.write_text(text, encoding="utf-8")
            subprocess.run(["dvc", "repro"], cwd=layout.root, check=True)
            results.parent.mkdir(exist_ok=True)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(collect(layout, seed, method), sort_keys=True) + "\n")


def collect(layout: Layout, seed: int, method: str) -> dict[str, Any]:
    """Figures of one pipeline, and the outcome of every test prompt and judged pair."""
    policies = {}
    for name in POLICIES:
        metrics = read_json(layout.evaluation(name) / "metrics.json")
        rows = read_json(layout.evaluation(name) / "annotations.json")
        tests = [row for row in rows if row["dataset"] == "test"]
        policies[name] = {
            **{k: v for k, v in metrics.items() if isinstance(v, int | float)},
            "development_win_rate": metrics["development"]["win_rate"],
            "prompts": [row["prompt_id"] for row in tests],
            "wins": [row["preference"] - 1 for row in tests],
        }
    judged = {n: read_json(layout.calibration(n) / "pairs.json") for n in ("1", "2")}
    return {"seed": seed, "method": method, "policies": policies, "judged": judged}


def table(file: Path) -> str:
    """The results of a file as Markdown."""
    rows = sorted(read_results(file), key=lambda r: (METHODS.index(r["method"]), r["seed"]))
    parts = [_win_rates(rows), _gains(rows), _judges(rows), _health(rows)]
    return "\n\n".join(parts) + "\n"


def read_results(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _methods(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The methods that have a result, in order."""
    return [method for method in METHODS if any(row["method"] == method for row in rows)]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _interval(value: Interval) -> str:
    return f"{_percent(value.mean)} [{_percent(value.low)}, {_percent(value.high)}]"


def _markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _win_rates(rows: Sequence[dict[str, Any]]) -> str:
    names = ("0", "1", "2", "rival")
    body = [
        [
            str(row["seed"]),
            row["method"],
            *(_interval(bootstrap(row["policies"][n]["wins"], seed=row["seed"])) for n in names),
            f"{row['policies']['rival']['gamma']:g}",
        ]
        for row in rows
    ]
    header = ["seed", "labels", "round 0", "round 1", "round 2", "rival", "gamma"]
    title = f"Win rate over the base, %, n = {len(rows[0]['policies']['0']['wins'])} test prompts"
    return f"### {title}\n\n" + _markdown(header, body)


def _gains(rows: Sequence[dict[str, Any]]) -> str:
    def gain(first: str) -> Callable[[dict[str, Any]], Interval]:
        return lambda row: study.paired_difference(
            row["policies"][first]["wins"], row["policies"]["2"]["wins"], seed=row["seed"]
        )

    body = [
        [str(r["seed"]), r["method"], _interval(gain("0")(r)), _interval(gain("rival")(r))]
        for r in rows
    ]
    for method in _methods(rows):
        members = [r for r in rows if r["method"] == method]
        cells = [_interval(_pooled_gain(members, first)) for first in ("0", "rival")]
        body.append(["all", method, *cells])
    header = ["seed", "labels", "round 2 - round 0", "round 2 - rival"]
    return "### Gain in win rate, points, paired by prompt\n\n" + _markdown(header, body)


def _pooled_gain(rows: Sequence[dict[str, Any]], first: str) -> Interval:
    """Over all seeds; a prompt that several seeds test is one cluster."""
    before, after, prompts = [], [], []
    for row in rows:
        before += row["policies"][first]["wins"]
        after += row["policies"]["2"]["wins"]
        prompts += row["policies"]["2"]["prompts"]
    return study.paired_difference(before, after, seed=0, clusters=prompts)


def _judges(rows: Sequence[dict[str, Any]]) -> str:
    body = []
    for method in _methods(rows):
        members = [row for row in rows if row["method"] == method]
        for rounds in (("1",), ("2",), ("1", "2")):
            pairs = [p for row in members for n in rounds for p in row["judged"][n]]
            body.append([method, "+".join(rounds), *_judge_cells(pairs)])
    header = ["labels", "round", "pairs", "judge", "likelihood", "shorter wins"]
    header += ["judge - likelihood", "judge - shorter"]
    title = "Accuracy of the labels against the rubric, %, seeds pooled, rubric ties left out"
    return f"### {title}\n\n" + _markdown(header, body)


def _judge_cells(pairs: Sequence[dict[str, Any]]) -> list[str]:
    right = {judge: correct(pairs, judge) for judge in ("judge", "likelihood", "length")}
    prompts = [pair["prompt_id"] for pair in pairs if pair["gold"] != 0.5]
    means = [_interval(bootstrap(r, seed=0, clusters=prompts)) for r in right.values()]
    gaps = [
        _interval(study.paired_difference(right[other], right["judge"], seed=0, clusters=prompts))
        for other in ("likelihood", "length")
    ]
    return [str(len(prompts)), *means, *gaps]


def _health(rows: Sequence[dict[str, Any]]) -> str:
    body = []
    for row in rows:
        for name in POLICIES:
            policy = row["policies"][name]
            accuracy = policy.get("heldout_accuracy")
            body.append(
                [
                    str(row["seed"]),
                    row["method"],
                    name,
                    f"{policy['gold_reward']:.3f}",
                    "-" if accuracy is None else _percent(accuracy),
                    f"{policy['kl_to_base']:.2f}",
                    f"{policy['mean_tokens']:.1f}",
                    _percent(policy["finished"]),
                ]
            )
    header = ["seed", "labels", "policy", "gold reward", "held-out accuracy, %"]
    header += ["KL, nats", "tokens", "finished, %"]
    return "### Every policy on the test prompts\n\n" + _markdown(header, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="run the pipelines (hours)")
    running.add_argument("--seeds", type=int, nargs="+", default=[6, 7, 8])
    running.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    running.add_argument("--test", type=int, default=320, help="test prompts (split.test)")
    printing = commands.add_parser("table", help="print the tables")
    for command in (running, printing):
        command.add_argument("--results", type=Path, default=RESULTS, help="file of results")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments.seeds, arguments.methods, arguments.test, arguments.results)
    else:
        print(table(arguments.results), end="")


if __name__ == "__main__":
    main()
