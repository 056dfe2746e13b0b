"""The pairs that a policy was trained on, and those left out, in TRL's preference format."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import pyarrow as pa

from spa.contract import left_out
from spa.export.ancestry import rounds_of
from spa.export.sources import Sources
from spa.files import read_json
from spa.layout import Layout
from spa.params import Params
from spa.records import (
    FinishReason,
    FlaggedPair,
    FlaggedSeedPair,
    JudgedPair,
    Message,
    Pair,
    Record,
)
from spa.tables import read_table

Decision = Literal["kept", "warned", "dropped"]


@dataclass(frozen=True, kw_only=True)
class PublishedPair(Record):
    """A pair as TRL's trainers read it: prompt, chosen and rejected are messages.

    `round` is 0 for the seed. `labelled_by` is `human` or the judge's method;
    `label_flipped` says that the label was flipped on purpose, to study noise. `margin`
    (nats) and `probability` are null where no judge spoke. `decision` is what the data checks
    made of it for `reasons`: `kept`, `warned` (kept all the same) or `dropped`.
    """

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            *(Pair.SCHEMA.field(name) for name in ("pair_id", "prompt_id")),
            ("round", pa.int32()),
            *(pa.field(n, Pair.SCHEMA.field("prompt").type) for n in ("prompt", "chosen")),
            ("rejected", Pair.SCHEMA.field("prompt").type),
            ("chosen_finish_reason", pa.string()),
            ("rejected_finish_reason", pa.string()),
            ("labelled_by", pa.string()),
            ("label_flipped", pa.bool_()),
            ("margin", pa.float64()),
            ("probability", pa.float64()),
            ("decision", pa.string()),
            ("reasons", pa.list_(pa.string())),
        ]
    )

    pair_id: str
    prompt_id: str
    round: int
    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    chosen_finish_reason: FinishReason
    rejected_finish_reason: FinishReason
    labelled_by: str
    label_flipped: bool
    margin: float | None
    probability: float | None
    decision: Decision
    reasons: list[str]


@dataclass(frozen=True)
class PublishedPairs:
    """Pairs by the name of their file: `trained` has `seed`, `round-1` ...; `dropped` is one."""

    trained: Mapping[str, Sequence[PublishedPair]]
    dropped: Sequence[PublishedPair]


def read_pairs(sources: Sources, layout: Layout, params: Params, round: int) -> PublishedPairs:
    """All pairs of a policy's making.

    Args:
        sources: says which files are as they were made.
        layout: the pipeline.
        params: of the pipeline.
        round: the policy's.

    Raises:
        ArtefactError: a file is missing, or is not the one that its stage wrote.
    """
    trained = {}
    seed, dropped = _seed(sources, layout)
    if seed:
        trained["seed"] = seed
    for number in rounds_of(params, round):
        kept, left = _judged(sources, layout, number)
        trained[f"round-{number}"] = kept
        dropped += left
    return PublishedPairs(trained, dropped)


def _seed(sources: Sources, layout: Layout) -> tuple[list[PublishedPair], list[PublishedPair]]:
    """The seed's pairs that are trained on, and those that are not."""
    turned = set(read_json(sources.file(layout.flipped_seed)))
    pairs = read_table(sources.file(layout.pool("seed")), Pair)
    flagged = read_table(sources.file(layout.flagged(0)), FlaggedSeedPair)
    out = left_out(flagged)
    kept = [pair for pair in pairs if pair.pair_id not in out]
    return _decided(0, kept, flagged, turned)


def _judged(
    sources: Sources, layout: Layout, round: int
) -> tuple[list[PublishedPair], list[PublishedPair]]:
    """A round's pairs that are trained on, and those that are not."""
    kept = read_table(sources.file(layout.kept(round)), JudgedPair)
    flagged = read_table(sources.file(layout.flagged(round)), FlaggedPair)
    return _decided(round, kept, flagged, {p.pair_id for p in [*kept, *flagged] if p.margin < 0})


def _decided(
    round: int,
    kept: Sequence[Pair],
    flagged: Sequence[FlaggedPair | FlaggedSeedPair],
    turned: Collection[str],
) -> tuple[list[PublishedPair], list[PublishedPair]]:
    reasons = {pair.pair_id: pair.reasons for pair in flagged}
    ids = {pair.pair_id for pair in kept}
    return (
        [
            _publish(pair, round, "warned" if own else "kept", own, turned=pair.pair_id in turned)
            for pair in kept
            for own in [reasons.get(pair.pair_id, [])]
        ],
        [
            _publish(pair, round, "dropped", pair.reasons, turned=pair.pair_id in turned)
            for pair in flagged
            if pair.pair_id not in ids
        ],
    )


def _publish(
    pair: Pair, round: int, decision: Decision, reasons: Collection[str], *, turned: bool
) -> PublishedPair:
    judged = pair if isinstance(pair, JudgedPair) else None
    return PublishedPair(
        pair_id=pair.pair_id,
        prompt_id=pair.prompt_id,
        round=round,
        prompt=pair.prompt,
        chosen=[{"role": "assistant", "content": pair.chosen}],
        rejected=[{"role": "assistant", "content": pair.rejected}],
        chosen_finish_reason=pair.chosen_finish_reason,
        rejected_finish_reason=pair.rejected_finish_reason,
        labelled_by=judged.method if judged else "human",
        label_flipped=turned,
        margin=judged.margin if judged else None,
        probability=judged.probability if judged else None,
        decision=decision,
        reasons=list(reasons),
    )
