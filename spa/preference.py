"""The implicit reward and the pairs it makes: SPA's judge, as arithmetic on floats."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def implicit_reward(
    policy_logp: float, base_logp: float, *, characters: int = 0, length_penalty: float = 0.0
) -> float:
    """log pi(y|x) - log pi_init(y|x) - length_penalty * |y|, in nats.

    The label depends on its sign and order alone, so that beta is left out.

    Source: SPA, arXiv:2406.04412, Eq. 7; the penalty is its App. D, Eq. 13, with |y| in
    characters as in the code that it follows.
    """
    return policy_logp - base_logp - length_penalty * characters


def preference_probability(margin: float, *, beta: float) -> float:
    """sigma(beta * margin): belief that the answer with the higher reward is better.

    Source: SPA, arXiv:2406.04412, Eq. 7-8.
    """
    return 0.5 * (1 + math.tanh(beta * margin / 2))


@dataclass(frozen=True)
class Choice:
    """Positions of the chosen and rejected answer among a prompt's, and reward difference."""

    chosen: int
    rejected: int
    margin: float


def best_against_worst(rewards: Sequence[float], *, tie_band: float) -> Choice | None:
    """The answer with the highest reward against the one with the lowest.

    Any number of answers from two; equal rewards go to the earlier sample. None where the
    difference is within `tie_band` nats: a tie is no preference.
    """
    best = max(range(len(rewards)), key=lambda i: (rewards[i], -i))
    worst = min(range(len(rewards)), key=lambda i: (rewards[i], -i))
    return _choice(rewards, best, worst, tie_band)


def best_against_random(
    rewards: Sequence[float], *, tie_band: float, generator: np.random.Generator
) -> Choice | None:
    """The answer with the highest reward against one of the others, drawn at random."""
    best = max(range(len(rewards)), key=lambda i: (rewards[i], -i))
    others = [i for i in range(len(rewards)) if i != best]
    return _choice(rewards, best, others[int(generator.integers(len(others)))], tie_band)


def _choice(rewards: Sequence[float], chosen: int, rejected: int, band: float) -> Choice | None:
    margin = rewards[chosen] - rewards[rejected]
    return Choice(chosen, rejected, margin) if margin > band else None
