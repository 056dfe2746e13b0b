"""The rows that stages hand to each other: one frozen dataclass and one Parquet schema each.

A row's id is a hash of its content, and every row carries the id of the row it came from,
so that two runs that made the same thing say so and lineage needs no counter.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, TypedDict

import pyarrow as pa

SCHEMA_VERSION = 1
"""Of every file that stages write and users keep; a change that old readers misread raises it."""

FinishReason = Literal["stop", "length"]


class Message(TypedDict):
    """One chat turn."""

    role: str
    content: str


def content_hash(*parts: object) -> str:
    """Hash JSON-serialisable parts to 16 hex digits (64 bits), the form of every id."""
    return hashlib.sha256(_encode(parts).encode()).hexdigest()[:16]


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def prompt_hash(prompt: Sequence[Message]) -> str:
    """Id of a prompt: a hash of its turns, role and content."""
    return content_hash([[m["role"], m["content"]] for m in prompt])


def pair_hash(prompt: Sequence[Message], chosen: str, rejected: str) -> str:
    """Id of a preference pair: a hash of its prompt and both answers, in order."""
    return content_hash(prompt_hash(prompt), chosen, rejected)


_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_PAIR_FIELDS = [
    ("pair_id", pa.string()),
    ("prompt_id", pa.string()),
    ("prompt", _MESSAGES),
    ("chosen", pa.string()),
    ("rejected", pa.string()),
    ("chosen_finish_reason", pa.string()),
    ("rejected_finish_reason", pa.string()),
]
_FLAG_FIELDS = [
    pa.field("reasons", pa.list_(pa.string())),
    pa.field("action", pa.string()),
]


@dataclass(frozen=True, kw_only=True)
class Record:
    """Base of all rows; subclasses add fields and the Parquet schema that holds them."""

    SCHEMA: ClassVar[pa.Schema]
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()
    """Columns that may say nothing (null)."""

    def row(self) -> dict[str, Any]:
        """The record as a plain dict, nested values shared and not copied."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, kw_only=True)
class Prompt(Record):
    """A conversation that waits for an answer."""

    SCHEMA: ClassVar[pa.Schema] = pa.schema([("prompt_id", pa.string()), ("prompt", _MESSAGES)])

    prompt_id: str
    prompt: list[Message]


@dataclass(frozen=True, kw_only=True)
class Pair(Record):
    """Two answers to one prompt, the chosen one preferred by whoever labelled them."""

    SCHEMA: ClassVar[pa.Schema] = pa.schema(_PAIR_FIELDS)

    pair_id: str
    prompt_id: str
    prompt: list[Message]
    chosen: str
    rejected: str
    chosen_finish_reason: FinishReason
    rejected_finish_reason: FinishReason


@dataclass(frozen=True, kw_only=True)
class Response(Record):
    """One sampled answer.

    `token_ids` are the tokens sampled, the end-of-turn token included where the answer
    finished. `token_logprobs` are the sampler's own log-probabilities of them at
    temperature 1, in nats; `logprob` is their sum. `model` is the sampler's content hash.
    """

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            ("response_id", pa.string()),
            ("prompt_id", pa.string()),
            ("prompt", _MESSAGES),
            ("sample", pa.int32()),
            ("text", pa.string()),
            ("token_ids", pa.list_(pa.int32())),
            ("finish_reason", pa.string()),
            ("seed", pa.uint64()),
            ("model", pa.string()),
            ("logprob", pa.float64()),
            ("token_logprobs", pa.list_(pa.float32())),
        ]
    )

    response_id: str
    prompt_id: str
    prompt: list[Message]
    sample: int
    text: str
    token_ids: list[int]
    finish_reason: FinishReason
    seed: int
    model: str
    logprob: float
    token_logprobs: list[float]


@dataclass(frozen=True, kw_only=True)
class Score(Record):
    """Log-probabilities of one answer under policy and base (nats, summed over its tokens).

    `reward` is what the judge ranks by; for the implicit judge it is
    `policy_logp - base_logp` less any length penalty.
    """

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            ("response_id", pa.string()),
            ("prompt_id", pa.string()),
            ("policy_logp", pa.float64()),
            ("base_logp", pa.float64()),
            ("tokens", pa.int32()),
            ("reward", pa.float64()),
        ]
    )

    response_id: str
    prompt_id: str
    policy_logp: float
    base_logp: float
    tokens: int
    reward: float


@dataclass(frozen=True, kw_only=True)
class JudgedPair(Pair):
    """A pair labelled by a judge: margin = reward(chosen) - reward(rejected), in nats.

    `probability` is the judge's belief that its label is right, sigma(beta * margin).
    """

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            *_PAIR_FIELDS,
            ("chosen_id", pa.string()),
            ("rejected_id", pa.string()),
            ("margin", pa.float64()),
            ("probability", pa.float64()),
            ("method", pa.string()),
        ]
    )

    chosen_id: str
    rejected_id: str
    margin: float
    probability: float
    method: str


@dataclass(frozen=True, kw_only=True)
class FlaggedPair(JudgedPair):
    """A pair that at least one data check speaks against, with the reasons.

    `action` is the strongest of its checks: `warn` keeps the pair, `drop` removes it.
    """

    SCHEMA: ClassVar[pa.Schema] = pa.schema([*JudgedPair.SCHEMA, *_FLAG_FIELDS])

    reasons: list[str]
    action: str


@dataclass(frozen=True, kw_only=True)
class FlaggedSeedPair(Pair):
    """A pair of the seed or gold that a data check speaks against; see `FlaggedPair`."""

    SCHEMA: ClassVar[pa.Schema] = pa.schema([*Pair.SCHEMA, *_FLAG_FIELDS])

    reasons: list[str]
    action: str


@dataclass(frozen=True, kw_only=True)
class TrainingRow(Record):
    """One pair at one optimiser step, as the loss saw it.

    `loss` is SPA's, in nats, without the likelihood that `train.nll_weight` adds. `margin` and
    `extrapolated_margin` are beta * (log-ratio difference), in nats; the latter is null where
    the detector did not look. `threshold` is the probability below which a label is doubtful,
    null while too few pairs were seen. `refined` says whether the doubt changed the loss (it
    cannot before the warm-up gate or at alpha = 0).
    """

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            ("step", pa.int32()),
            ("pair_id", pa.string()),
            ("loss", pa.float64()),
            ("margin", pa.float64()),
            ("extrapolated_margin", pa.float64()),
            ("confidence", pa.float64()),
            ("threshold", pa.float64()),
            ("flagged", pa.bool_()),
            ("refined", pa.bool_()),
            ("learning_rate", pa.float64()),
        ]
    )
    OPTIONAL: ClassVar[frozenset[str]] = frozenset({"extrapolated_margin", "threshold"})

    step: int
    pair_id: str
    loss: float
    margin: float
    extrapolated_margin: float | None
    confidence: float
    threshold: float | None
    flagged: bool
    refined: bool
    learning_rate: float
