"""The rolling threshold: a true quantile of the latest pairs."""

import numpy as np
import pytest

from spa.threshold import RollingThreshold


def test_nothing_is_doubted_before_one_pair_in_k_can_be() -> None:
    threshold = RollingThreshold(share=0.1, window=50)
    threshold.add([0.5] * 9)
    assert threshold.value() is None
    threshold.add([0.4])
    assert threshold.value() is not None


def test_it_is_the_quantile_of_the_latest_window_only() -> None:
    """Of 1..10 the tenth lies in place 0.1 * 11 = 1.1, at 1.1; older zeros are forgotten."""
    threshold = RollingThreshold(share=0.1, window=10)
    threshold.add([0.0] * 30)
    threshold.add(range(1, 11))
    assert threshold.value() == pytest.approx(1.1)


@pytest.mark.parametrize("window", [20, 50, 128])
def test_one_more_confidence_of_the_same_kind_is_doubted_with_probability_k(window: int) -> None:
    """In 20,000 windows; by linear interpolation it would be 13.3, 11.6 and 10.6 %."""
    draws = np.random.default_rng(1).uniform(size=(20_000, window + 1))
    doubted = 0
    for *known, new in draws.tolist():
        threshold = RollingThreshold(share=0.1, window=window)
        threshold.add(known)
        value = threshold.value()
        doubted += value is not None and new < value
    assert doubted / len(draws) == pytest.approx(0.1, abs=0.006)


def test_share_zero_never_doubts() -> None:
    threshold = RollingThreshold(share=0.0, window=10)
    threshold.add([0.1] * 10)
    assert threshold.value() is None


@pytest.mark.parametrize("step", [1, 2, 4, 8])
def test_a_tenth_is_flagged_at_any_step_size(step: int) -> None:
    confidences = np.random.default_rng(0).uniform(size=4000)
    threshold = RollingThreshold(share=0.1, window=50)
    flagged = 0
    for start in range(0, len(confidences), step):
        part = confidences[start : start + step]
        value = threshold.value()
        flagged += 0 if value is None else int((part < value).sum())
        threshold.add(part)
    assert flagged / len(confidences) == pytest.approx(0.1, abs=0.03)


def test_a_restored_threshold_goes_on_as_if_never_stopped() -> None:
    one, two = (RollingThreshold(share=0.1, window=20) for _ in range(2))
    one.add(np.linspace(0, 1, 15))
    two.add([0.9] * 3)  # which it forgets
    two.restore(one.state())
    for threshold in (one, two):
        threshold.add([0.3, 0.2])
    assert one.value() == two.value()
