"""How well SPA's noise detector finds labels that were turned round, by dose.

    python benchmarks/controlled_preferences.py prepare      # answers and their labels (minutes)
    python benchmarks/noise_doses.py run --seeds 1 2 3       # trains 66 steps for every dose
    python benchmarks/noise_doses.py table                   # docs/results.md

What it asks, of what, and how it is read: docs/studies.md. `run` reads the pairs and the base of
the pipeline that it is called in (`spa base`), appends a line per training to
benchmarks/results/noise_doses.jsonl as it finishes and skips those that have one.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import study
import torch
from controlled_preferences import SYSTEM
from numpy.typing import NDArray
from real_labels import pair_logps, token_pairs

from spa.compute import Compute
from spa.importing.pairs import read_pairs
from spa.layout import Layout
from spa.metrics import Interval, accuracy, bootstrap
from spa.models import Policy, load_policy
from spa.param_files import load_compute
from spa.params import Train
from spa.records import Pair
from spa.reliability import auroc
from spa.schedule import make_plan
from spa.seeds import generator
from spa.splits import flip_labels, partition
from spa.training import Trainer

RESULTS = study.ROOT / "benchmarks" / "results" / "noise_doses.jsonl"
PAIRS = "data/raw/study/easy.jsonl"
TRAINED = 198
FLIPS = (0.4, 0.2, 0.0)
HANDLING = ((0.1, 0.1), (0.5, 0.3), (0.0, 0.1), (0.5, 0.1), (0.1, 0.3))
"""alpha and K, in the order of running; without alpha nothing is softened, but flags are told."""
RESAMPLES = 2_000
Logps = Mapping[str, tuple[float, float]]
Row = dict[str, Any]


def wanted(
    seeds: Sequence[int], flips: Sequence[float], settings: int
) -> Iterator[tuple[int, float, float, float]]:
    """Seed, flips, alpha and K of every training, in the order of running.

    Args:
        settings: how many of HANDLING, its first ones.
    """
    for seed in seeds:
        for share in (f for f in FLIPS if f in flips):
            for alpha, noise_share in HANDLING[:settings]:
                yield seed, share, alpha, noise_share


def run(trainings: Iterable[tuple[int, float, float, float]]) -> None:
    """Run every one of these (`wanted`) that has no result yet."""
    layout = Layout.find()
    compute = load_compute(layout.compute)
    pairs = read_pairs(PAIRS, layout.root, system=SYSTEM).pairs
    base = load_policy(layout.policy("base"), compute, dtype=torch.float32)
    logps = dict(zip([p.pair_id for p in pairs], pair_logps(base, pairs, compute), strict=True))
    done = {(r["seed"], r["flips"], r["alpha"], r["noise_share"]) for r in _results()}
    for seed, flips, alpha, share in trainings:
        if (seed, flips, alpha, share) in done:
            continue
        row = _training(layout, compute, pairs, logps, seed, flips, recipe(alpha, share))
        where = {"seed": seed, "flips": flips, "alpha": alpha, "noise_share": share}
        study.append(RESULTS, {**where, **row})
        print(where, flush=True)


def recipe(alpha: float, noise_share: float) -> Train:
    """66 steps of 3 pairs, with study 1's learning rate and its first round's lambda."""
    return Train.model_validate(
        {
            "learning_rate": 6e-6, "batch_size": 3, "lambda": 0.5, "alpha": alpha,
            "noise_share": noise_share,
        }
    )  # fmt: skip


def _training(
    layout: Layout,
    compute: Compute,
    pairs: Sequence[Pair],
    logps: Logps,
    seed: int,
    flips: float,
    settings: Train,
) -> Row:
    """What the detector said of every pair from the gate on, and of the pairs held out."""
    pools = partition(
        pairs, [], seed=seed, seed_pairs=TRAINED, development=0, test=0, gold=0, round_sizes={}
    )
    given = flip_labels(pools.seed, flips, seed=seed, name="noise_doses")
    known = {
        pair.pair_id: _known(logps[true.pair_id], turned=pair != true)
        for pair, true in zip(given, pools.seed, strict=True)
    }
    base = layout.policy("base")
    policy = load_policy(base, compute, dtype=torch.float32)
    trainer = Trainer(
        policy.model,
        settings,
        seed=seed,
        round=1,
        load_reference=lambda: (
            load_policy(layout.policy("base"), compute, dtype=torch.float32).model
        ),
        token_budget=compute.score_tokens,
    )
    log = trainer.train(token_pairs(policy.encoder, given), lambda rows: None)
    gate = make_plan(len(given), settings).gate
    return {
        "pairs": [
            {"confidence": row.confidence, "flagged": row.flagged, **known[row.pair_id]}
            for row in log
            if row.step >= gate
        ],
        "held_out": _margins(policy, pools.hidden_gold, logps, compute),
    }


def _known(logps: tuple[float, float], *, turned: bool) -> Row:
    """Whether a label was turned, and by how much (nats) the base finds what it prefers likelier.

    Args:
        logps: the base's, of the better and the worse answer in truth.
        turned: whether the label says the opposite.
    """
    margin = logps[0] - logps[1]
    return {"turned": turned, "likelihood": -margin if turned else margin}


def _margins(policy: Policy, pairs: Sequence[Pair], logps: Logps, compute: Compute) -> list[float]:
    """reward(chosen) - reward(rejected) of each pair, in nats."""
    after = pair_logps(policy, pairs, compute)
    return [
        (ours[0] - ours[1]) - (logps[pair.pair_id][0] - logps[pair.pair_id][1])
        for pair, ours in zip(pairs, after, strict=True)
    ]


def table() -> str:
    """All results so far as Markdown."""
    groups: dict[tuple[float, float, float], list[Row]] = {}
    for row in _results():
        groups.setdefault((row["flips"], row["alpha"], row["noise_share"]), []).append(row)
    body = []
    for (flips, alpha, share), rows in sorted(groups.items()):
        held_out = [right for row in rows for right in accuracy(row["held_out"])]
        flagged = [pair["turned"] for row in rows for pair in row["pairs"] if pair["flagged"]]
        found = [pair["flagged"] for row in rows for pair in row["pairs"] if pair["turned"]]
        body.append(
            [
                f"{flips:.0%}", f"{alpha:g}", f"{share:.0%}", str(len(rows)),
                str(sum(len(row["pairs"]) for row in rows)),
                *(_shown(_detection(rows, key)) for key in ("confidence", "likelihood")),
                _mean(flagged), _mean(found), study.share(bootstrap(held_out, seed=0)),
            ]
        )  # fmt: skip
    header = [
        "labels turned", "alpha", "K", "seeds", "pairs", "AUROC", "AUROC of likelihood",
        "of the flagged, turned", "of the turned, flagged", "held-out pairs right, %",
    ]  # fmt: skip
    return study.markdown("The noise detector, by dose", header, body) + "\n"


def _results() -> list[Row]:
    return study.read_results(RESULTS)


def _mean(values: Sequence[bool]) -> str:
    return f"{100 * sum(values) / len(values):.0f} % of {len(values)}" if values else "-"


def _shown(value: Interval | None) -> str:
    return "-" if value is None else f"{value.mean:.2f} [{value.low:.2f}, {value.high:.2f}]"


def _detection(rows: Sequence[Row], key: str, *, resamples: int = RESAMPLES) -> Interval | None:
    """Mean over seeds of the AUROC of -`key` for "this label was turned round".

    The 95 % interval resamples the pairs of every seed; seeds are too few to be drawn.
    """
    trainings = [
        (
            np.array([-pair[key] for pair in row["pairs"]]),
            np.array([pair["turned"] for pair in row["pairs"]]),
        )
        for row in rows
    ]
    if not all(turned.any() for _, turned in trainings):
        return None
    random = generator(0, "noise_doses")
    means = [_resampled(trainings, random) for _ in range(resamples)]
    low, high = np.nanquantile(np.array(means), [0.025, 0.975])
    mean = float(np.mean([auroc(*training) for training in trainings]))
    return Interval(mean, float(low), float(high), sum(len(t) for _, t in trainings))


def _resampled(
    trainings: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]], random: np.random.Generator
) -> float:
    found = []
    for scores, turned in trainings:
        drawn = random.integers(len(scores), size=len(scores))
        found.append(auroc(scores[drawn], turned[drawn]))
    return float(np.mean([np.nan if value is None else value for value in found]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train with every dose (hours)")
    running.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    running.add_argument("--flips", type=float, nargs="+", choices=FLIPS, default=FLIPS)
    of = f"how many of the {len(HANDLING)} settings of alpha and K, in the order of running"
    running.add_argument("--settings", type=int, default=len(HANDLING), metavar="N", help=of)
    commands.add_parser("table", help="print the table")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(wanted(arguments.seeds, arguments.flips, arguments.settings))
    else:
        print(table(), end="")


if __name__ == "__main__":
    main()
