"""The implicit reward and the pairs it makes: SPA's judge, as arithmetic on floats."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_PENALTY_STEP = 0.001

Group = tuple[Sequence[float], Sequence[int]]
"""Rewards of one prompt's answers, and their lengths in characters."""


@dataclass(frozen=True)
class Choice:
    """Positions of the chosen and rejected answer among a prompt's, and reward difference."""

    chosen: int
    rejected: int
    margin: float


Chooser = Callable[[int, Sequence[float]], Choice | None]
"""Makes a pair of a group of answers, given the group's place and its rewards."""


def implicit_reward(policy_logp: float, reference_logp: float) -> float:
    """log pi(y|x) - log pi_ref(y|x), in nats; SPA's reference is pi_init.

    The label depends on its sign and order alone, so that beta is left out.

    Source: SPA, arXiv:2406.04412, Eq. 7.
    """
    return policy_logp - reference_logp


def penalised(rewards: Sequence[float], characters: Sequence[int], penalty: float) -> list[float]:
    """Rewards less `penalty` for each character of their answers.

    Source: SPA, arXiv:2406.04412, App. D, Eq. 13, with |y| in characters as in the code that
    it follows.
    """
    return [r - penalty * c for r, c in zip(rewards, characters, strict=True)]


def balancing_penalty(groups: Sequence[Group], choose: Chooser) -> float:
    """The penalty per character at which chosen answers are as long as rejected ones.

    The mean of len(chosen) - len(rejected) falls as the penalty grows; of the thousandths on both
    sides of 0 the nearer one is returned, and 0 where the chosen answers are no longer than the
    rejected ones by themselves.

    Args:
        groups: rewards and lengths in characters of each prompt's answers.
        choose: makes a group's pair, given its place and its rewards, as the round will.

    Source: DICE, arXiv:2406.09760, which also searches in steps of 0.001.
    """

    def gap(steps: int) -> float:
        return _length_gap(groups, steps * _PENALTY_STEP, choose)

    if gap(0) <= 0:
        return 0.0
    high = 1
    while gap(high) > 0:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if gap(middle) > 0 else (low, middle)
    nearer = min((low, high), key=lambda steps: abs(gap(steps)))
    return nearer * _PENALTY_STEP


def _length_gap(groups: Sequence[Group], penalty: float, choose: Chooser) -> float:
    gaps = []
    for place, (rewards, lengths) in enumerate(groups):
        if choice := choose(place, penalised(rewards, lengths, penalty)):
            gaps.append(lengths[choice.chosen] - lengths[choice.rejected])
    return sum(gaps) / len(gaps) if gaps else 0.0


def preference_probability(margin: float, *, beta: float) -> float:
    """sigma(beta * margin): belief that the answer with the higher reward is better.

    Source: SPA, arXiv:2406.04412, Eq. 7-8.
    """
    return 0.5 * (1 + math.tanh(beta * margin / 2))


def best_against_worst(rewards: Sequence[float], *, tie_band: float) -> Choice | None:
    """The answer with the highest reward against the one with the lowest.

    Any number of answers from two; equal rewards go to the earlier sample. None where the
    difference is within `tie_band` nats: a tie is no preference. A reward that is not a number
    counts as the lowest, and its pair's margin is none: no tie either, as it says nothing.
    """
    known = _ranks(rewards)
    best = max(range(len(rewards)), key=lambda i: (known[i], -i))
    worst = min(range(len(rewards)), key=lambda i: (known[i], -i))
    return _choice(rewards, best, worst, tie_band)


def best_against_random(
    rewards: Sequence[float], *, tie_band: float, generator: np.random.Generator
) -> Choice | None:
    """The answer with the highest reward against one of the others, drawn at random."""
    known = _ranks(rewards)
    best = max(range(len(rewards)), key=lambda i: (known[i], -i))
    others = [i for i in range(len(rewards)) if i != best]
    return _choice(rewards, best, others[int(generator.integers(len(others)))], tie_band)


def _ranks(rewards: Sequence[float]) -> list[float]:
    return [-math.inf if math.isnan(reward) else reward for reward in rewards]


def _choice(rewards: Sequence[float], chosen: int, rejected: int, band: float) -> Choice | None:
    margin = rewards[chosen] - rewards[rejected]
    return None if margin <= band else Choice(chosen, rejected, margin)
