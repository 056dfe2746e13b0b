"""The implicit reward and the choice of pairs, by hand."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from spa.preference import (
    Choice,
    balancing_penalty,
    best_against_random,
    best_against_worst,
    implicit_reward,
    penalised,
    preference_probability,
)


def test_the_reward_is_what_the_policy_gained_over_the_base() -> None:
    assert implicit_reward(-10.0, -14.0) == 4.0
    assert penalised([4.0, 5.0], [100, 200], 0.01) == [3.0, 3.0]


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


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_reward_that_is_no_number_loses_and_its_margin_is_none_and_no_tie(place: int) -> None:
    rewards = [1.0, 3.0]
    rewards.insert(place, math.nan)
    choice = best_against_worst(rewards, tie_band=0.1)
    assert choice is not None
    assert (choice.chosen, choice.rejected) == (rewards.index(3.0), place)
    assert math.isnan(choice.margin)


def test_two_infinite_rewards_are_no_tie_and_one_wins_without_end() -> None:
    choice = best_against_worst([math.inf, math.inf], tie_band=0.1)
    assert choice is not None
    assert math.isnan(choice.margin)
    assert best_against_worst([1.0, math.inf], tie_band=0.1) == Choice(1, 0, math.inf)


def test_best_against_random_uses_every_other_answer() -> None:
    generator = np.random.default_rng(0)
    rejected = {
        choice.rejected
        for _ in range(50)
        if (choice := best_against_random([5, 1, 2], tie_band=0, generator=generator))
    }
    assert rejected == {1, 2}


def _best(place: int, rewards: Sequence[float]) -> Choice | None:
    return best_against_worst(rewards, tie_band=0.0)


def test_the_balancing_penalty_is_where_the_mean_gap_changes_its_sign() -> None:
    """The longer answer wins by 1, 3 and 9 nats at 100 characters more: it loses from a
    penalty of 0.010, 0.030 and 0.090 on. With two of three turned round the gap is -100/3,
    with one of three it is +100/3; the boundary between is 0.030."""
    groups = [([lead, 0.0], [200, 100]) for lead in (1.0, 3.0, 9.0)]
    assert balancing_penalty(groups, _best) == pytest.approx(0.030, abs=1.1e-3)
    alike = [([1.0, 0.0], [200, 100])] * 3
    assert balancing_penalty(alike, _best) == pytest.approx(0.010, abs=1.1e-3)


def test_there_is_no_penalty_where_short_answers_win_or_lengths_are_equal() -> None:
    assert balancing_penalty([([0.0, 5.0], [200, 100])], _best) == 0.0
    assert balancing_penalty([([1.0, 5.0], [100, 100])], _best) == 0.0
    assert balancing_penalty([], _best) == 0.0


def test_of_equal_rewards_the_earlier_answer_counts_as_the_better_one() -> None:
    """Two share the highest reward, two the lowest: the first wins and the last loses."""
    assert best_against_worst([3.0, 1.0, 3.0, 1.0], tie_band=0.0) == Choice(0, 3, 2.0)


def test_an_answer_without_a_reward_is_never_set_against_a_random_other_one() -> None:
    generator = np.random.default_rng(0)
    choice = best_against_random([math.nan, 3.0], tie_band=0.1, generator=generator)
    assert choice is not None
    assert (choice.chosen, choice.rejected) == (1, 0)


def test_of_the_thousandths_around_the_balance_the_nearer_one_is_taken() -> None:
    """A lead of 1.05 at 100 characters more is lost between 0.010 and 0.011. Beside it another
    answer wins, 20 characters longer (mean gaps 60 and -40) or shorter (40 and -60)."""
    lost = ([1.05, 0.0], [200, 100])
    assert balancing_penalty([lost, ([9.0, 0.0], [120, 100])], _best) == pytest.approx(0.011)
    assert balancing_penalty([lost, ([9.0, 0.0], [100, 120])], _best) == pytest.approx(0.010)
