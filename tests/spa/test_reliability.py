"""Trust in a judge's margins, by hand and by simulation."""

import numpy as np
import pytest

from spa import reliability

MARGINS = [4.0, 3.0, 2.0, 1.0]
RIGHT = [1, 1, 0, 1]


def test_auroc_counts_ordered_pairs() -> None:
    """Positives 4 and 1, negatives 3 and 2: two of four orders are right."""
    assert reliability.auroc([4, 3, 2, 1], [1, 0, 0, 1]) == 0.5
    assert reliability.auroc([4, 3, 2, 1], [1, 1, 0, 0]) == 1.0
    assert reliability.auroc([1.0, 2.0], [1, 1]) is None


def test_a_judges_auroc_takes_every_pair_both_ways_round() -> None:
    """Positives 4, 3, 1, -2; negatives 2, -4, -3, -1: of 16 orders 4, 4, 3 and 2 are right."""
    assert reliability.judge_auroc(MARGINS, RIGHT) == pytest.approx(13 / 16)
    assert reliability.judge_auroc([1.0] * 4, RIGHT) == 0.75
    assert reliability.judge_auroc(MARGINS, [1] * 4) == 1.0


def test_the_temperature_of_a_calibrated_judge_is_found() -> None:
    numbers = np.random.default_rng(0)
    margins = numbers.normal(0, 20, 40_000)
    right = numbers.random(40_000) < 1 / (1 + np.exp(-0.1 * margins))
    assert reliability.fit_temperature(margins, right) == pytest.approx(0.1, rel=0.05)
    fold = numbers.random(40_000) < 0.5
    probabilities = reliability.calibrated(margins, right, fold)
    error = reliability.calibration_error(probabilities, right)
    assert error is not None
    assert error < 0.01
    for group in reliability.buckets(probabilities, right, groups=5):
        assert group["accuracy"] == pytest.approx(group["mean"], abs=0.02)
    scaled = reliability.calibrated(margins * 1e3, right, fold)
    assert scaled == pytest.approx(probabilities, abs=1e-3)  # nats or tokens, no matter


def test_a_judge_that_knows_nothing_is_not_sure() -> None:
    numbers = np.random.default_rng(1)
    margins, right = numbers.normal(0, 5, 4_000), numbers.random(4_000) < 0.5
    probabilities = reliability.calibrated(margins, right, numbers.random(4_000) < 0.5)
    assert np.abs(probabilities - 0.5).max() < 0.12
    assert reliability.brier(probabilities, right) == pytest.approx(0.25, abs=0.002)


def test_brier_is_the_mean_squared_distance() -> None:
    assert reliability.brier([0.9, 0.6, 1.0], [1, 0, 1]) == pytest.approx((0.01 + 0.36) / 3)


def test_no_calibration_error_is_told_of_few_pairs() -> None:
    assert reliability.calibration_error([0.7] * 1_999, [1] * 1_999) is None
    assert reliability.calibration_error([0.7] * 2_000, [1] * 2_000) == pytest.approx(0.3)


def test_buckets_are_of_equal_size_from_low_to_high() -> None:
    low, high = reliability.buckets(MARGINS, RIGHT, groups=2)
    assert low == {"low": 1.0, "high": 2.0, "mean": 1.5, "n": 2, "accuracy": 0.5}
    assert high == {"low": 3.0, "high": 4.0, "mean": 3.5, "n": 2, "accuracy": 1.0}


def test_buckets_between_edges_leave_out_what_is_empty() -> None:
    found = reliability.buckets_between([-3.0, 0.0, 5.0], [0, 1, 1], [-10, 0, 1, 2, 10])
    assert [(b["n"], b["accuracy"]) for b in found] == [(1, 0.0), (1, 1.0), (1, 1.0)]


def test_the_surest_pairs_come_first() -> None:
    found = reliability.risk_by_coverage([1.0, -4.0, 3.0, 2.0], [0, 1, 1, 1], steps=2)
    assert [(b["mean"], b["low"], b["accuracy"]) for b in found] == [(0.5, 3, 1.0), (1.0, 1, 0.75)]


def test_flags_are_held_against_wrong_labels() -> None:
    found = reliability.detection([1, 1, 0, 0, 0], [1, 0, 1, 1, 0])
    assert found["precision"] == 0.5
    assert found["recall"] == pytest.approx(1 / 3)
    assert (found["flagged_share"], found["wrong_share"]) == (0.4, 0.6)
    assert reliability.detection([0, 0], [0, 0])["precision"] is None
