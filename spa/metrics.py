"""Rates and their uncertainty: win rates, accuracies and bootstrap intervals. numpy only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spa.seeds import generator

_BLOCK = 2**22
_Z = 1.959964


@dataclass(frozen=True)
class Interval:
    """A mean, its confidence interval, and how many rows it is the mean of."""

    mean: float
    low: float
    high: float
    n: int


def bootstrap(
    values: Sequence[float],
    *,
    seed: int,
    resamples: int = 10_000,
    level: float = 0.95,
    clusters: Sequence[str] | None = None,
) -> Interval:
    """Percentile bootstrap of a mean.

    Args:
        values: one number per row.
        seed: names the resamples; equal seeds give equal intervals.
        resamples: how many.
        level: share of the resampled means inside the interval.
        clusters: rows of one cluster (say, of one prompt) are drawn together; none by default.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("bootstrap: found no values; wanted at least one")
    array = np.asarray(values, dtype=np.float64)
    names = (
        np.arange(len(array)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    )
    sums = np.bincount(names, weights=array).astype(np.float64)
    sizes = np.bincount(names).astype(np.float64)
    means = _resampled_means(sums, sizes, seed, resamples)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(array.mean()), float(low), float(high), len(array))


def _resampled_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], seed: int, resamples: int
) -> NDArray[np.float64]:
    random, count = generator(seed, "bootstrap"), len(sums)
    rows = max(1, _BLOCK // count)
    means = []
    for start in range(0, resamples, rows):
        drawn = random.integers(count, size=(min(rows, resamples - start), count))
        means.append(sums[drawn].sum(1) / sizes[drawn].sum(1))
    return np.concatenate(means)


def wilson(successes: int, count: int) -> Interval:
    """A share with Wilson's 95 % interval, which also holds where all or none succeeded.

    Source: Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    share, z2 = successes / count, _Z**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    spread = math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) * _Z / (1 + z2 / count)
    return Interval(share, middle - spread, middle + spread, count)


def bounded(values: Sequence[float], *, seed: int, least: float = 0.0) -> Interval:
    """The mean of values from `least` to 1, with its 95 % interval.

    The bootstrap's, or Wilson's where all values lie at one end: resamples of them all are
    alike, as if a handful were as sure as thousands.

    Raises:
        ValueError: there are no values.
    """
    ends, count = {least: 0, 1.0: len(values)}, len(values)
    if len(set(values)) != 1 or values[0] not in ends:
        return bootstrap(values, seed=seed)
    share, width = wilson(ends[values[0]], count), 1 - least
    low, high = (least + width * min(max(end, 0.0), 1.0) for end in (share.low, share.high))
    return Interval(values[0], low, high, count)


def accuracy(margins: Sequence[float]) -> list[float]:
    """Whether each margin points the right way: 1 above 0, 0.5 at 0, 0 below."""
    return [0.5 if margin == 0 else float(margin > 0) for margin in margins]
