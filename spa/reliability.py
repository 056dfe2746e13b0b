"""How far a judge's margins can be trusted: ranking, calibration, and what doubting buys.

Everything here takes margins (positive where the judge agrees with the label at hand) and
whether that is right, 1 or 0; gold's ties are left out before.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

LENGTH_EDGES = (float("-inf"), -20, -5, 1, 6, 21, float("inf"))
"""Preferred - other answer in tokens: much shorter, shorter, alike, longer, much longer."""

MANY = 2_000
"""Pairs from which a calibration error is told: at 160 a perfect judge shows 0.06 by chance."""

Floats = NDArray[np.float64]


class Bucket(TypedDict):
    """A group of pairs: the range and mean of what groups them, its size and accuracy."""

    low: float
    high: float
    mean: float
    n: int
    accuracy: float


def trust(
    margins: ArrayLike, right: ArrayLike, longer: ArrayLike, fold: ArrayLike
) -> dict[str, Any]:
    """How well a judge's margins rank, and how sure they may make one.

    Args:
        margins: (N,) by how much the judge prefers an answer to the other, 0 or more.
        right: (N,) whether it is right, 1 or 0; 0.5 where it has no opinion.
        longer: (N,) by how many tokens the answer that it prefers is longer.
        fold: (N,) True or False, which half a pair is in (temperatures are fitted on the other).
    """
    probabilities = calibrated(margins, right, fold)
    return {
        "auroc": judge_auroc(margins, right),
        "temperature": fit_temperature(margins, right),
        "brier": brier(probabilities, right),
        "calibration_error": calibration_error(probabilities, right),
        "reliability": buckets(probabilities, right, groups=5),
        "coverage": risk_by_coverage(margins, right),
        "by_margin": buckets(margins, right, groups=4),
        "by_length": buckets_between(longer, right, LENGTH_EDGES),
    }


def auroc(scores: ArrayLike, positive: ArrayLike) -> float | None:
    """Chance that a positive row scores higher than a negative one; None without both."""
    from sklearn.metrics import roc_auc_score

    truth = np.asarray(positive, dtype=bool)
    if truth.all() or not truth.any():
        return None
    return float(roc_auc_score(truth, np.asarray(scores, dtype=np.float64)))


def judge_auroc(margins: ArrayLike, right: ArrayLike) -> float:
    """AUROC of a judge's margin for which of two answers is better.

    Which answer of a pair comes first is arbitrary, so that every pair counts both ways
    round; a judge of one size of margin has its accuracy as AUROC.
    """
    found = auroc(*_both_ways(margins, right))
    assert found is not None  # both ways round, there are always both
    return found


def fit_temperature(margins: ArrayLike, right: ArrayLike) -> float:
    """The scale t at which sigma(t * margin) is the likeliest account of who is right.

    Logistic regression without an intercept; below 0 where the judge is wrong more often.
    """
    from sklearn.linear_model import LogisticRegression

    values, truth = _both_ways(margins, right)
    spread = float(np.abs(values).mean()) or 1.0
    model = LogisticRegression(fit_intercept=False, C=1e3)
    model.fit(values[:, None] / spread, truth)
    return float(model.coef_[0, 0]) / spread


def calibrated(margins: ArrayLike, right: ArrayLike, fold: ArrayLike) -> Floats:
    """Probability that each label is right, by the temperature fitted on the other fold.

    Args:
        margins: (N,) judge margins.
        right: (N,) 1 or 0.
        fold: (N,) True or False, which half a pair is in.
    """
    values, truth = np.asarray(margins, dtype=np.float64), np.asarray(right, dtype=np.float64)
    half = np.asarray(fold, dtype=bool)
    found = np.full(len(values), 0.5)
    for part in (half, ~half):
        if part.any() and (~part).any():
            scale = fit_temperature(values[~part], truth[~part])
            found[part] = 0.5 * (1 + np.tanh(scale * values[part] / 2))
    return found


def in_first_fold(pair_id: str) -> bool:
    """Which half a pair is in: its id is a hash, so that nobody chose."""
    return int(pair_id[-1], 16) % 2 == 0


def brier(probabilities: ArrayLike, right: ArrayLike) -> float:
    """Mean squared distance of the probabilities from what was so; 0.25 knows nothing."""
    return float(np.mean((np.asarray(probabilities) - np.asarray(right)) ** 2))


def calibration_error(probabilities: ArrayLike, right: ArrayLike) -> float | None:
    """Mean distance of probability and accuracy over ten equal groups; None below `MANY` rows."""
    if len(np.asarray(right)) < MANY:
        return None
    groups = buckets(probabilities, right, groups=10)
    total = sum(g["n"] for g in groups)
    return sum(g["n"] * abs(g["mean"] - g["accuracy"]) for g in groups) / total


def buckets(values: ArrayLike, right: ArrayLike, *, groups: int) -> list[Bucket]:
    """Accuracy in groups of equal size, from the lowest values to the highest."""
    order = np.argsort(np.asarray(values, dtype=np.float64), kind="stable")
    sizes = [part for part in np.array_split(order, groups) if len(part)]
    return [_bucket(np.asarray(values)[part], np.asarray(right)[part]) for part in sizes]


def buckets_between(values: ArrayLike, right: ArrayLike, edges: Sequence[float]) -> list[Bucket]:
    """Accuracy in groups of edges[i] <= value < edges[i + 1]; empty groups are left out."""
    array, truth = np.asarray(values, dtype=np.float64), np.asarray(right, dtype=np.float64)
    found = []
    for low, high in pairwise(edges):
        inside = (array >= low) & (array < high)
        if inside.any():
            found.append(_bucket(array[inside], truth[inside]))
    return found


def _bucket(values: Floats, right: Floats) -> Bucket:
    return Bucket(
        low=float(values.min()),
        high=float(values.max()),
        mean=float(values.mean()),
        n=len(values),
        accuracy=float(right.mean()),
    )


def risk_by_coverage(margins: ArrayLike, right: ArrayLike, *, steps: int = 10) -> list[Bucket]:
    """Accuracy of the surest tenth of the pairs, of the surest two tenths, and so on.

    `mean` is the coverage; `low` is the smallest |margin| that is still covered.
    """
    sure = np.abs(np.asarray(margins, dtype=np.float64))
    truth = np.asarray(right, dtype=np.float64)
    order = np.argsort(-sure, kind="stable")
    found = []
    for step in range(1, steps + 1):
        count = round(step * len(order) / steps)
        if count:
            bucket = _bucket(sure[order[:count]], truth[order[:count]])
            bucket["mean"] = count / len(order)
            found.append(bucket)
    return found


def detection(flagged: ArrayLike, wrong: ArrayLike) -> dict[str, float | None]:
    """Precision and recall of flags for labels that are wrong; None where undefined."""
    flags, truth = np.asarray(flagged, dtype=bool), np.asarray(wrong, dtype=bool)
    hits = float((flags & truth).sum())
    return {
        "precision": hits / float(flags.sum()) if flags.any() else None,
        "recall": hits / float(truth.sum()) if truth.any() else None,
        "flagged_share": float(flags.mean()) if len(flags) else None,
        "wrong_share": float(truth.mean()) if len(truth) else None,
    }


def _both_ways(margins: ArrayLike, right: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    values, truth = np.asarray(margins, dtype=np.float64), np.asarray(right, dtype=bool)
    return np.concatenate([values, -values]), np.concatenate([truth, ~truth])
