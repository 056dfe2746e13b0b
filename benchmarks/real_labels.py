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
from real_labels_tables import fitted, tables

from spa.annotation.annotator import Answer, Comparison, log_odds
from spa.annotation.llm import LlmAnnotator
from spa.compute import Compute
from spa.encoding import Encoder
from spa.files import read_json, write_json
from spa.heldout import pair_sequences
from spa.importing.pairs import read_pairs
from spa.layout import Layout
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
    return [float(m) for m in fitted(_features(seed), _features(held_out))]


def _features(pairs: Sequence[Pair]) -> Floats:
    return np.array(
        [[read(pair.chosen) - read(pair.rejected) for read in FEATURES.values()] for pair in pairs],
        dtype=np.float64,
    )


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
        print(tables(study.read_results(RESULTS)), end="")


if __name__ == "__main__":
    main()
