"""A round's digest: what the report shows of its pairs and its training, in one small file.

The report depends on the calibrations as a whole, and so on every round that there is, without
a line for each in dvc.yaml; so what it shows of a round lies there.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spa.files import read_json
from spa.layout import Layout
from spa.records import FlaggedPair, JudgedPair, TrainingRow

PAIRS = 4
"""Pairs shown of a round."""
EXAMPLES = 2
"""Pairs shown of every reason to flag one."""

Row = dict[str, Any]


def digest(
    kept: Sequence[JudgedPair],
    flagged: Sequence[FlaggedPair],
    gold: Mapping[str, float],
    log: Sequence[TrainingRow],
) -> Row:
    """What the report shows of a round.

    Pairs are taken in the order of their ids, which are hashes: a draw that nobody chose and
    that stays as it is.

    Args:
        kept: the pairs trained on.
        flagged: those that a data check speaks against, dropped or not.
        gold: by pair, how much the annotator prefers the chosen answer (0 to 1, 0.5 a tie);
            pairs that were not compared are shown without.
        log: the round's training log.

    Returns:
        `kept` and `flagged`, how many; `pairs`, some of the kept ones; `reasons`, for every
        reason `pairs` and `dropped`, how many, and `examples`; `curves`, see `curves`.
    """
    return {
        "kept": len(kept),
        "flagged": len(flagged),
        "pairs": _shown(kept, gold, PAIRS),
        "reasons": {
            reason: {
                "pairs": len(pairs),
                "dropped": sum(pair.action != "warn" for pair in pairs),
                "examples": _shown(pairs, gold, EXAMPLES),
            }
            for reason, pairs in _by_reason(flagged).items()
        },
        "curves": curves(log),
    }


def curves(log: Sequence[TrainingRow]) -> dict[str, list[float]]:
    """Training by optimiser step, means over its pairs.

    Returns:
        `step`; `loss` and `margin` in nats; `reward_accuracy`, the share of margins above 0.
    """
    steps: dict[int, list[TrainingRow]] = {}
    for row in log:
        steps.setdefault(row.step, []).append(row)
    return {
        "step": list(steps),
        "loss": [_mean(row.loss for row in rows) for rows in steps.values()],
        "margin": [_mean(row.margin for row in rows) for rows in steps.values()],
        "reward_accuracy": [_mean(row.margin > 0 for row in rows) for rows in steps.values()],
    }


def read_digests(layout: Layout, rounds: Sequence[str]) -> dict[str, Row]:
    """The digests of rounds, by round.

    Raises:
        ArtefactError: one is missing.
    """
    return {name: read_json(layout.digest(name)) for name in rounds}


def _by_reason(flagged: Sequence[FlaggedPair]) -> dict[str, list[FlaggedPair]]:
    found: dict[str, list[FlaggedPair]] = {}
    for pair in flagged:
        for reason in pair.reasons:
            found.setdefault(reason, []).append(pair)
    return found


def _shown(pairs: Sequence[JudgedPair], gold: Mapping[str, float], count: int) -> list[Row]:
    """What JSON cannot say, a margin that is no finite number, is None."""
    first = sorted(pairs, key=lambda pair: pair.pair_id)[:count]
    return [
        {
            **pair.row(),
            "margin": _finite(pair.margin),
            "probability": _finite(pair.probability),
            "gold": gold.get(pair.pair_id),
        }
        for pair in first
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
