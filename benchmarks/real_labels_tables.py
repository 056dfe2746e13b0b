"""How the rows of study 2 are read: agreement with GPT-4, what is added, growth with labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import study
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from spa.metrics import accuracy, bootstrap

SINGLE_NUMBERS = ("likelihood", "llm", "length")
JUDGES = ("implicit", *SINGLE_NUMBERS, "surface", "surface + implicit")
LEARNT = ("implicit", "surface", "surface + implicit")
COUNTS = (32, 128, 300)
Floats = NDArray[np.float64]
Row = dict[str, Any]
Right = dict[str, list[float]]


def tables(rows: Sequence[Row]) -> str:
    """All results so far as Markdown."""
    groups = sorted({(r["dataset"], r["labels"]) for r in rows})
    body, gaps = [], []
    for dataset, labels in groups:
        pieces = [r for r in rows if (r["dataset"], r["labels"]) == (dataset, labels)]
        pooled = _pooled([_right(piece) for piece in pieces])
        prompts = [pair["prompt_id"] for piece in pieces for pair in piece["held_out"]]
        name = [dataset, str(labels), str(len(pieces)), str(len(prompts))]
        means = [bootstrap(pooled[judge], seed=0, clusters=prompts) for judge in JUDGES]
        body.append(name + [study.share(mean) for mean in means])
        best = max((*SINGLE_NUMBERS, "surface"), key=lambda judge: sum(pooled[judge]))
        for first, second in ((best, "implicit"), ("surface", "surface + implicit")):
            gap = study.paired_difference(pooled[first], pooled[second], seed=0, clusters=prompts)
            gaps.append([*name[:3], f"{second} - {first}", study.percent(gap)])
    header = ["data", "labels", "splits", "pairs judged", *JUDGES]
    added = ["data", "labels", "splits", "difference", "points"]
    parts = [
        study.markdown("Agreement with GPT-4 on held-out pairs, %", header, body),
        study.markdown("What the implicit judge adds, points", added, gaps),
        _growth(rows),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _growth(rows: Sequence[Row]) -> str:
    """Agreement by number of labels, on the pairs that are held out at every number.

    Of the splits alone that have all of them; empty where none has.
    """
    body = []
    for dataset in sorted({row["dataset"] for row in rows}):
        found = {(r["split"], r["labels"]): r for r in rows if r["dataset"] == dataset}
        splits = sorted({s for s, _ in found if all((s, count) in found for count in COUNTS)})
        if not splits:
            continue
        by_count, prompts = _on_the_same_pairs(found, splits)
        name = [dataset, str(len(splits)), str(len(prompts))]
        for judge in LEARNT:
            shown = [bootstrap(by_count[n][judge], seed=0, clusters=prompts) for n in COUNTS]
            gap = study.paired_difference(
                by_count[COUNTS[0]][judge], by_count[COUNTS[-1]][judge], seed=0, clusters=prompts
            )
            body.append([*name, judge, *map(study.share, shown), study.percent(gap)])
    if not body:
        return ""
    counts = [f"{count} labels" for count in COUNTS]
    header = ["data", "splits", "pairs", "judge", *counts, f"{COUNTS[-1]} - {COUNTS[0]}"]
    return study.markdown("Agreement by number of labels, the same pairs, %", header, body)


def _on_the_same_pairs(
    found: Mapping[tuple[int, int], Row], splits: Sequence[int]
) -> tuple[dict[int, Right], list[str]]:
    """For every number of labels whether judges are right; and the prompts of those pairs.

    Smaller seeds are parts of larger ones, so that these are the pairs held out by the largest.

    Raises:
        ValueError: rows of a split are of different bases or data.
    """
    by_count: dict[int, list[Right]] = {count: [] for count in COUNTS}
    prompts: list[str] = []
    for split in splits:
        held_out = {n: [_key(p) for p in found[split, n]["held_out"]] for n in COUNTS}
        shared = sorted(set.intersection(*map(set, held_out.values())))
        if len(shared) < min(map(len, held_out.values())):
            raise ValueError(f"split {split}: the rows know other pairs; make them anew together")
        prompts += [prompt for prompt, *_ in shared]
        for count in COUNTS:
            place = {key: i for i, key in enumerate(held_out[count])}
            right = _right(found[split, count])
            by_count[count].append({j: [right[j][place[key]] for key in shared] for j in LEARNT})
    return {count: _pooled(pieces) for count, pieces in by_count.items()}, prompts


def _key(pair: Row) -> tuple[str, float, float]:
    """What tells a pair from others in every piece: the base said the same of it in all."""
    return pair["prompt_id"], pair["likelihood"], pair["length"]


def _pooled(pieces: Sequence[Right]) -> Right:
    return {judge: [x for piece in pieces for x in piece[judge]] for judge in pieces[0]}


def _right(piece: Row) -> Right:
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
        found[part] = fitted(margins[~part], margins[part])
    return [float(margin) for margin in found]


def fitted(train: Floats, test: Floats) -> Floats:
    """Margins on `test` of a regression without intercept; every row of `train` is a 1.

    Each row counts both ways round, so that the place of the better answer says nothing.
    """
    scale = StandardScaler(with_mean=False).fit(np.concatenate([train, -train]))
    rows = scale.transform(np.concatenate([train, -train]))
    truth = np.repeat([1, 0], len(train))
    model = LogisticRegression(fit_intercept=False).fit(rows, truth)
    found: Floats = model.decision_function(scale.transform(test))
    return found
