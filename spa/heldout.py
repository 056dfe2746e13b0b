"""The implicit reward against held-out labels of people: pairs of no round and no seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spa import reliability
from spa.encoding import Encoder, TokenSequence
from spa.metrics import accuracy, bounded
from spa.records import Pair

Both = tuple[float, float]
"""A number of the chosen answer, and of the rejected one."""


@dataclass(frozen=True)
class GoldReading:
    """What a model says of the gold pairs, one entry a pair.

    `logps` are log-probabilities in nats, summed over an answer's tokens; `tokens` how many.
    """

    pair_ids: list[str]
    logps: list[Both]
    tokens: list[tuple[int, int]]


def pair_sequences(encoder: Encoder, pairs: Sequence[Pair]) -> list[TokenSequence]:
    """Each pair's chosen answer, then its rejected one."""
    return [
        encoder.sequence(pair.prompt, text, reason)
        for pair in pairs
        for text, reason in (
            (pair.chosen, pair.chosen_finish_reason),
            (pair.rejected, pair.rejected_finish_reason),
        )
    ]


def heldout_figures(policy: GoldReading, base: Sequence[Both], *, seed: int) -> dict[str, Any]:
    """How often log pi - log pi_base ranks a gold pair as its label does, and how surely.

    This is the implicit judge of the round that this policy answers for, on labels that people
    gave; nothing was trained on them or chosen by them.

    Args:
        policy: the policy's reading.
        base: the base's log-probabilities of the same pairs (nats).
        seed: names the bootstrap.

    Returns:
        `heldout_accuracy` (ties one half), its 95 % interval `_low` and `_high`, `heldout_n`, and
        under `heldout` AUROC, Brier score and curves, see `reliability.trust`. All are None
        without gold pairs.
    """
    margins = [(p[0] - b[0]) - (p[1] - b[1]) for p, b in zip(policy.logps, base, strict=True)]
    right = accuracy(margins)
    interval = bounded(right, seed=seed) if right else None
    longer = [
        (chosen - rejected) * (-1 if margin < 0 else 1)
        for (chosen, rejected), margin in zip(policy.tokens, margins, strict=True)
    ]
    fold = [reliability.in_first_fold(name) for name in policy.pair_ids]
    return {
        "heldout_n": len(right),
        "heldout_accuracy": interval.mean if interval else None,
        "heldout_accuracy_low": interval.low if interval else None,
        "heldout_accuracy_high": interval.high if interval else None,
        "heldout": reliability.trust(list(map(abs, margins)), right, longer, fold)
        if interval
        else None,
    }
