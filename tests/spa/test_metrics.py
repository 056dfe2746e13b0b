"""Intervals: by hand where possible, by simulation where not."""

import numpy as np
import pytest
from scipy.stats import binomtest

from spa.metrics import accuracy, bootstrap, bounded, wilson


def test_the_mean_is_exact_and_equal_seeds_give_equal_intervals() -> None:
    interval = bootstrap([0.0, 0.5, 1.0, 1.0], seed=1)
    assert (interval.mean, interval.n) == (0.625, 4)
    assert interval.low < 0.625 < interval.high
    assert interval == bootstrap([0.0, 0.5, 1.0, 1.0], seed=1)
    assert interval != bootstrap([0.0, 0.5, 1.0, 1.0, 0.0], seed=1)


def test_a_constant_has_no_spread_and_nothing_has_no_mean() -> None:
    interval = bootstrap([0.5] * 9, seed=1)
    assert (interval.low, interval.high) == (0.5, 0.5)
    with pytest.raises(ValueError, match="found no values"):
        bootstrap([], seed=1)


def test_an_interval_agrees_with_the_normal_one_where_n_is_large() -> None:
    """p = 0.3, n = 2000: 0.3 +- 1.96 sqrt(0.21 / 2000) = 0.2799, 0.3201."""
    interval = bootstrap([1.0] * 600 + [0.0] * 1400, seed=3)
    assert (interval.low, interval.high) == pytest.approx((0.2799, 0.3201), abs=2e-3)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        interval = bootstrap(random.binomial(1, 0.6, 80).tolist(), seed=trial, resamples=500)
        hits += interval.low <= 0.6 <= interval.high
    assert 0.89 <= hits / 200 <= 0.99


def test_rows_of_one_cluster_are_no_independent_evidence() -> None:
    values = np.random.default_rng(1).normal(size=50).tolist()
    names = [str(n) for n in range(50)]
    alone = bootstrap(values, seed=1)
    copied = bootstrap(values * 4, seed=1)
    clustered = bootstrap(values * 4, seed=1, clusters=names * 4)
    assert copied.high - copied.low < 0.6 * (alone.high - alone.low)
    assert clustered.high - clustered.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_a_handful_that_all_agree_is_less_sure_than_many() -> None:
    """Wilson's of 5 of 5 and 0 of 5, the latter scaled from 0..1 to -1..1: 1 - 2 * 0.5655."""
    assert bounded([1.0] * 5, seed=1).low == pytest.approx(0.5655, abs=1e-4)
    assert bounded([1.0] * 500, seed=1).low > 0.99
    lost = bounded([-1.0] * 5, seed=1, least=-1.0)
    assert (lost.mean, lost.low, lost.n) == (-1.0, -1.0, 5)
    assert lost.high == pytest.approx(1 - 2 * 0.5655, abs=2e-4)
    assert bounded([0.5] * 5, seed=1) == bootstrap([0.5] * 5, seed=1)
    assert bounded([0.0, 1.0], seed=1) == bootstrap([0.0, 1.0], seed=1)


def test_accuracy_gives_half_to_no_opinion() -> None:
    assert accuracy([2.0, 0.0, -1.0]) == [1.0, 0.5, 0.0]


def test_the_interval_of_a_share_by_hand_and_by_another_library() -> None:
    """All of 5: the lower bound is 1 / (1 + 1.96^2 / 5) = 0.566."""
    whole = wilson(5, 5)
    assert (whole.mean, whole.n) == (1.0, 5)
    assert whole.low == pytest.approx(0.5655, abs=1e-4)
    assert whole.high == pytest.approx(1.0)
    wanted = binomtest(7, 31).proportion_ci(method="wilson")
    found = wilson(7, 31)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-6)


def test_a_cluster_weighs_as_many_rows_as_it_has() -> None:
    """One of three ones, one of a zero: resamples have means 1 (a quarter), 3/4 (half), 0."""
    rows, names = [1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"]
    inner = bootstrap(rows, seed=1, level=0.4, clusters=names)
    outer = bootstrap(rows, seed=1, clusters=names)
    assert (inner.mean, inner.low, inner.high) == (0.75, 0.75, 0.75)
    assert (outer.low, outer.high) == (0.0, 1.0)


def test_another_seed_draws_other_resamples() -> None:
    values = np.random.default_rng(1).normal(size=50).tolist()
    assert bootstrap(values, seed=1).low != bootstrap(values, seed=2).low
