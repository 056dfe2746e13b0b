"""The implicit reward and the choice of pairs, by hand."""

import math

import numpy as np
import pytest

from spa.preference import (
    Choice,
    best_against_random,
    best_against_worst,
    implicit_reward,
    preference_probability,
)


def test_the_reward_is_what_the_policy_gained_over_the_base() -> None:
    assert implicit_reward(-10.0, -14.0) == 4.0
    assert implicit_reward(-10.0, -14.0, characters=100, length_penalty=0.01) == 3.0


def test_the_probability_is_a_sigmoid_and_antisymmetric() -> None:
    assert preference_probability(10.0, beta=0.1) == pytest.approx(1 / (1 + math.exp(-1)))
    for margin in (-900.0, -3.0, 0.0, 2.5, 900.0):
        both = preference_probability(margin, beta=0.1) + preference_probability(-margin, beta=0.1)
        assert both == pytest.approx(1)


@pytest.mark.parametrize("rewards", [[1.0, 3.0], [3.0, 1.0, 2.0], [2.0, 3.0, 1.0, 1.5, 2.5]])
def test_the_highest_reward_is_chosen_and_the_lowest_rejected(rewards: list[float]) -> None:
    choice = best_against_worst(rewards, tie_band=0.0)
    assert choice == Choice(rewards.index(3.0), rewards.index(1.0), 2.0)


def test_a_tie_within_the_band_is_no_pair() -> None:
    assert best_against_worst([1.0, 1.0005], tie_band=1e-3) is None
    assert best_against_worst([1.0, 1.0], tie_band=0.0) is None


def test_best_against_random_uses_every_other_answer() -> None:
    generator = np.random.default_rng(0)
    rejected = {
        choice.rejected
        for _ in range(50)
        if (choice := best_against_random([5, 1, 2], tie_band=0, generator=generator))
    }
    assert rejected == {1, 2}
