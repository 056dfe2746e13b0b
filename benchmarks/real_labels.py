"""Study 2: what the implicit judge knows of GPT-4's preferences, beside the cheapest judges.

    python benchmarks/real_labels.py run --data DIR --datasets balanced --labels 128 --splits 1 2
    python benchmarks/real_labels.py table                            # docs/results.md

What it asks, of what, and how it is read: docs/studies.md. DIR holds balanced.jsonl and
natural.jsonl, which are not part of the project (CC BY-NC 4.0); only ids and margins are written.
The base comes from a pipeline that has run `spa base`, and what it says is kept there. `run`
appends a line per piece to benchmarks/results/real_labels.jsonl and skips those that have one.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import study
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from spa.annotation.annotator import Answer, Comparison, log_odds
from spa.annotation.llm import LlmAnnotator
from spa.compute import Compute
from spa.encoding import Encoder
from spa.files import read_json, write_json
from spa.heldout import pair_sequences
from spa.importing.pairs import read_pairs
from spa.layout import Layout
from spa.metrics import accuracy, bootstrap
from spa.models import Policy, load_policy
from spa.param_files import load_compute
from spa.params import Train
from spa.records import Pair
from spa.scoring import answer_logps
from spa.splits import partition
from spa.token_pairs import TokenPair
from spa.training import Trainer

RESULTS = study.ROOT / "benchmarks" / "results" / "real_labels.jsonl"
DATASETS = ("balanced", "natural")
RECIPE = Train(learning_rate=2e-6, epochs=1, batch_size=8, alpha=0.0, max_length=2048)
FEATURES: dict[str, Callable[[str], float]] = {
    "characters": len,
    "words": lambda text: len(text.split()),
    "sentences": lambda text: len(re.findall(r"[.!?](?:\s|$)", text)),
    "list items": lambda text: len(re.findall(r"(?m)^\s*(?:[-*•]|\d+[.)])\s", text)),
    "bold": lambda text: text.count("**"),
    "line breaks": lambda text: text.count("\n"),
    "digits": lambda text: sum(map(str.isdigit, text)),
    "questions": lambda text: text.count("?"),
    "exclamations": lambda text: text.count("!"),
    "letters a word": lambda text: len(text) / max(1, len(text.split())),
}
Floats = NDArray[np.float64]
Row = dict[str, Any]


def run(
    folder: Path, datasets: Sequence[str], labels: Sequence[int], splits: Sequence[int]
) -> None:
    """Run every piece that has no result yet."""
    layout = Layout.find()
    compute = load_compute(layout.compute)
    base_folder = layout.policy("base")
    done = {(r["dataset"], r["labels"], r["split"]) for r in study.read_results(RESULTS)}
    for dataset in datasets:
        pairs = read_pairs(str(folder / f"{dataset}.jsonl"), layout.root).pairs
        wanted = [(n, s) for n in labels for s in splits if (dataset, n, s) not in done]
        if not wanted:
            continue
        kept = layout.cache / "study-2" / f"{dataset}.json"
        if not kept.exists():
            write_json(kept, _base_judges(load_policy(base_folder, compute), pairs, compute))
        known = read_json(kept)
        for count, split in wanted:
            row = _piece(base_folder, compute, pairs, known, count, split)
            where = {"dataset": dataset, "labels": count, "split": split}
            study.append(RESULTS, {**where, **row})
            print(f"{where}: {len(row['held_out'])} pairs held out", flush=True)


def pair_logps(
    policy: Policy, pairs: Sequence[Pair], compute: Compute
) -> list[tuple[float, float]]:
    """Log-probabilities of each pair's chosen and rejected answer, in nats."""
    sequences = pair_sequences(policy.encoder, pairs)
    logps = answer_logps(policy, sequences, token_budget=compute.score_tokens)
    return list(zip(logps[::2], logps[1::2], strict=True))


def _base_judges(base: Policy, pairs: Sequence[Pair], compute: Compute) -> dict[str, Row]:
    """Per pair what needs no label: the base's log-probabilities and its answers to A or B."""
    logps = pair_logps(base, pairs, compute)
    annotator = LlmAnnotator(base, token_budget=compute.score_tokens)
    asked = annotator.prefer(
        [
            Comparison(
                pair.prompt,
                Answer(pair.rejected, pair.rejected_finish_reason),
                Answer(pair.chosen, pair.chosen_finish_reason),
            )
            for pair in pairs
        ]
    )
    return {
        pair.pair_id: {
            "likelihood": both[0] - both[1],
            "length": len(pair.chosen) - len(pair.rejected),
            "llm": log_odds(preference),
        }
        for pair, both, preference in zip(pairs, logps, asked, strict=True)
    }


def _piece(
    base: Path,
    compute: Compute,
    pairs: Sequence[Pair],
    known: Mapping[str, Row],
    count: int,
    split: int,
) -> Row:
    """Train on `count` pairs or a few more, judge all others; no prompt is on both sides."""
    pools = partition(
        pairs, [], seed=split, seed_pairs=count, development=0, test=0, gold=0, round_sizes={}
    )
    policy = _train(load_policy(base, compute, dtype=torch.float32), pools.seed, compute, split)
    held_out, seed = pools.hidden_gold, pools.seed
    margins = _implicit(policy, [*held_out, *seed], known, compute)
    surface = surface_margins(seed, held_out)
    return {
        "seed": [_judged(pair, known, margins) for pair in seed],
        "held_out": [
            {**_judged(pair, known, margins), "surface": margin}
            for pair, margin in zip(held_out, surface, strict=True)
        ],
    }


def _train(policy: Policy, pairs: Sequence[Pair], compute: Compute, split: int) -> Policy:
    """One epoch of DPO from and against the base."""
    trainer = Trainer(
        policy.model,
        RECIPE,
        seed=split,
        round=0,
        load_reference=lambda: policy.model,  # never asked for: lambda is 0
        token_budget=compute.score_tokens,
    )
    trainer.train(token_pairs(policy.encoder, pairs), lambda rows: None)
    return policy


def token_pairs(encoder: Encoder, pairs: Sequence[Pair]) -> list[TokenPair]:
    """Pairs as the trainer takes them."""
    return [
        TokenPair(
            pair.pair_id,
            encoder.sequence(pair.prompt, pair.chosen, pair.chosen_finish_reason),
            encoder.sequence(pair.prompt, pair.rejected, pair.rejected_finish_reason),
        )
        for pair in pairs
    ]


def _implicit(
    policy: Policy, pairs: Sequence[Pair], known: Mapping[str, Row], compute: Compute
) -> dict[str, float]:
    """reward(chosen) - reward(rejected) of each pair, in nats."""
    logps = pair_logps(policy, pairs, compute)
    return {
        pair.pair_id: ours[0] - ours[1] - known[pair.pair_id]["likelihood"]
        for pair, ours in zip(pairs, logps, strict=True)
    }


def _judged(pair: Pair, known: Mapping[str, Row], margins: Mapping[str, float]) -> Row:
    own = {key: known[pair.pair_id][key] for key in ("likelihood", "length", "llm")}
    return {"prompt_id": pair.prompt_id, "implicit": margins[pair.pair_id], **own}


def surface_margins(seed: Sequence[Pair], held_out: Sequence[Pair]) -> list[float]:
    """Log-odds of a logistic regression on differences of surface features, fitted on the seed."""
    return [float(m) for m in _fitted(_features(seed), _features(held_out))]


def _features(pairs: Sequence[Pair]) -> Floats:
    return np.array(
        [[read(pair.chosen) - read(pair.rejected) for read in FEATURES.values()] for pair in pairs],
        dtype=np.float64,
    )


def _fitted(train: Floats, test: Floats) -> Floats:
    """Margins on `test` of a regression without intercept; every row of `train` is a 1.

    Each row counts both ways round, so that the place of the better answer says nothing.
    """
    scale = StandardScaler(with_mean=False).fit(np.concatenate([train, -train]))
    rows = scale.transform(np.concatenate([train, -train]))
    truth = np.repeat([1, 0], len(train))
    model = LogisticRegression(fit_intercept=False).fit(rows, truth)
    found: Floats = model.decision_function(scale.transform(test))
    return found


SINGLE_NUMBERS = ("likelihood", "llm", "length")
JUDGES = ("implicit", *SINGLE_NUMBERS, "surface", "surface + implicit")


def table() -> str:
    """All results so far as Markdown."""
    rows = study.read_results(RESULTS)
    groups = sorted({(r["dataset"], r["labels"]) for r in rows})
    body, gaps = [], []
    for dataset, labels in groups:
        pieces = [r for r in rows if (r["dataset"], r["labels"]) == (dataset, labels)]
        right = [_right(piece) for piece in pieces]
        prompts = [pair["prompt_id"] for piece in pieces for pair in piece["held_out"]]
        pooled = {judge: [x for found in right for x in found[judge]] for judge in JUDGES}
        name = [dataset, str(labels), str(len(pieces)), str(len(prompts))]
        means = [bootstrap(pooled[judge], seed=0, clusters=prompts) for judge in JUDGES]
        body.append(name + [study.share(mean) for mean in means])
        best = max((*SINGLE_NUMBERS, "surface"), key=lambda judge: sum(pooled[judge]))
        for first, second in ((best, "implicit"), ("surface", "surface + implicit")):
            gap = study.paired_difference(pooled[first], pooled[second], seed=0, clusters=prompts)
            gaps.append([*name[:3], f"{second} - {first}", study.percent(gap)])
    header = ["data", "labels", "splits", "pairs judged", *JUDGES]
    return (
        "\n\n".join(
            [
                study.markdown("Agreement with GPT-4 on held-out pairs, %", header, body),
                study.markdown(
                    "What the implicit judge adds, points",
                    ["data", "labels", "splits", "difference", "points"],
                    gaps,
                ),
            ]
        )
        + "\n"
    )


def _right(piece: Row) -> dict[str, list[float]]:
    """Whether each judge is right on each held-out pair."""
    found = {judge: right_by(judge, piece) for judge in JUDGES[:-1]}
    found["surface + implicit"] = accuracy(_crossed(piece["held_out"]))
    return found


def right_by(judge: str, piece: Mapping[str, Any]) -> list[float]:
    """Whether a judge is right on each held-out pair; single numbers signed by the seed."""
    sign = 1
    if judge in SINGLE_NUMBERS:
        agree = sum(accuracy([pair[judge] for pair in piece["seed"]]))
        sign = 1 if agree * 2 >= len(piece["seed"]) else -1
    return accuracy([sign * pair[judge] for pair in piece["held_out"]])


def _crossed(pairs: Sequence[Row]) -> list[float]:
    """Both margins in one regression, fitted on the other half of the held-out prompts.

    On the seed the implicit judge has seen the answers, so that no weight can be learnt there.
    """
    margins = np.array([[pair["surface"], pair["implicit"]] for pair in pairs])
    half = np.array([int(pair["prompt_id"][-1], 16) % 2 == 0 for pair in pairs])
    found = np.zeros(len(pairs))
    for part in (half, ~half):
        found[part] = _fitted(margins[~part], margins[part])
    return [float(margin) for margin in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train and judge (minutes a piece)")
    running.add_argument("--data", type=Path, required=True, help="folder of the two files")
    running.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS)
    running.add_argument("--labels", type=int, nargs="+", default=[128])
    running.add_argument("--splits", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    commands.add_parser("table", help="print the tables")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments.data.resolve(), arguments.datasets, arguments.labels, arguments.splits)
    else:
        print(table(), end="")


if __name__ == "__main__":
    main()
