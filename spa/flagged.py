"""The rows behind a reason or a gate of a round, for a person to read."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from spa.contract import GateName
from spa.degeneracy import normalise, word_count
from spa.errors import InputError
from spa.layout import Layout
from spa.records import FlaggedPair, FlaggedSeedPair, JudgedPair, Message, Pair, Response
from spa.tables import read_table


@dataclass(frozen=True)
class Shown:
    """A pair, or a prompt with one answer, and why it is shown."""

    id: str
    prompt: list[Message]
    reasons: list[str]
    action: str
    margin: float | None = None
    answers: dict[str, str] = field(default_factory=dict)


def rows_behind(layout: Layout, round: int | Literal["gold"], reason: str | None) -> list[Shown]:
    """The flagged pairs of a round, or what one reason or gate is about.

    Args:
        layout: the pipeline.
        round: the round; 0 is the seed, which has no gates, as `gold` has none.
        reason: None for all flagged pairs; a check (`cut`), a reason (`cut:chosen`), or a gate.

    Raises:
        InputError: the round has no such reason.
        ArtefactError: `filter` has not run.
    """
    given = round in (0, "gold")
    if not given and reason is not None and reason in get_args(GateName):
        if reason in ("chosen_longer", "margin_std"):
            return _behind_pairs(read_table(layout.kept(round), JudgedPair), reason)
        return _repeated_answers(read_table(layout.responses(round), Response), reason)
    kind = FlaggedSeedPair if given else FlaggedPair
    flagged: list[Any] = read_table(layout.flagged(round), kind)
    rows = [pair for pair in flagged if reason is None or _has(pair, reason)]
    if reason is not None and not rows:
        known = sorted({r for pair in flagged for r in pair.reasons})
        known += [] if given else list(get_args(GateName))
        where = "gold" if round == "gold" else f"round {round}"
        raise InputError(
            f"{where}: found no row with reason {reason!r}; wanted one of {', '.join(known)}"
        )
    return [_shown(pair, pair.reasons, pair.action) for pair in rows]


def _has(pair: FlaggedPair | FlaggedSeedPair, reason: str) -> bool:
    return any(own == reason or own.split(":")[0] == reason for own in pair.reasons)


def _shown(pair: Pair, reasons: list[str], action: str) -> Shown:
    answers = {"chosen": pair.chosen, "rejected": pair.rejected}
    margin = pair.margin if isinstance(pair, JudgedPair) and math.isfinite(pair.margin) else None
    return Shown(pair.pair_id, pair.prompt, reasons, action, margin, answers)


def _behind_pairs(kept: Sequence[JudgedPair], gate: str) -> list[Shown]:
    """Kept pairs: those whose chosen answer is longer, most first; or all, least margin first."""
    if gate == "margin_std":
        chosen = sorted(kept, key=lambda pair: abs(pair.margin))
    else:
        by = {p.pair_id: word_count(p.chosen) - word_count(p.rejected) for p in kept}
        longer = [pair for pair in kept if by[pair.pair_id] > 0]
        chosen = sorted(longer, key=lambda pair: -by[pair.pair_id])
    return [_shown(pair, [gate], "kept") for pair in chosen]


def _repeated_answers(responses: Sequence[Response], gate: str) -> list[Shown]:
    """Answers that were given more than once, to one prompt or to several, most often first."""
    times = Counter(normalise(r.text) for r in responses)
    often = sorted(
        (r for r in responses if times[normalise(r.text)] > 1),
        key=lambda r: (-times[normalise(r.text)], normalise(r.text)),
    )
    return [
        Shown(r.response_id, r.prompt, [gate], "sampled", None, {"answer": r.text}) for r in often
    ]
