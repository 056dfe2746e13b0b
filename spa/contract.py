"""The schema of `filter` in params.yaml: the data contract of a round."""

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

from pydantic import field_validator

from spa.section import Count, Section, Share

Action = Literal["drop", "warn", "stop", "off"]


class Check(Section):
    """One data check: what to do with a pair that fails it, and which answers it reads."""

    action: Action
    """Leave the pair out, keep it and say so, stop the run, or do not look."""
    side: Literal["chosen", "rejected", "either"] = "either"
    """Which answers count."""
    limit: float | None = None
    """The check's threshold, where it has one (docs/checks.md says its unit)."""


CheckName = Literal[
    "identical",
    "near_identical",
    "empty",
    "cut",
    "repetition",
    "prompt_echo",
    "template_leak",
    "tie",
    "overlap",
    "contradiction",
    "repeated",
    "reused_prompt",
    "non_finite",
    "missing_end",
    "other_language",
    "mojibake",
    "length_ratio",
]

DEFAULT_CHECKS: dict[CheckName, Check] = {
    "identical": Check(action="drop"),
    "near_identical": Check(action="warn"),
    "empty": Check(action="drop"),
    "cut": Check(action="warn"),
    "repetition": Check(action="warn"),
    "prompt_echo": Check(action="warn"),
    "template_leak": Check(action="drop"),
    "tie": Check(action="drop"),
    "overlap": Check(action="stop"),
    "contradiction": Check(action="drop"),
    "repeated": Check(action="drop"),
    "reused_prompt": Check(action="drop"),
    "non_finite": Check(action="drop"),
    "missing_end": Check(action="drop"),
    "other_language": Check(action="warn"),
    "mojibake": Check(action="warn"),
    "length_ratio": Check(action="warn"),
}
"""What is done where params name no action: exact reasons drop or stop, heuristic ones warn."""

_OF_ROUNDS = ("tie", "reused_prompt", "non_finite", "missing_end")


def of_given_pairs(checks: Mapping[CheckName, Check]) -> dict[CheckName, Check]:
    """Those of `checks` that a pair can meet as it was given, without scores and rounds."""
    return {name: check for name, check in checks.items() if name not in _OF_ROUNDS}


class Flagged(Protocol):
    """A row of a file of flagged pairs."""

    @property
    def pair_id(self) -> str: ...
    @property
    def action(self) -> str: ...


def left_out(flagged: Iterable[Flagged]) -> set[str]:
    """Ids of the flagged pairs that are not trained on."""
    return {pair.pair_id for pair in flagged if pair.action != "warn"}


LIMITS: dict[CheckName, float] = {
    "near_identical": 0.95,
    "repetition": 0.5,
    "prompt_echo": 0.9,
    "template_leak": 0.0,
    "tie": 0.001,
    "other_language": 0.9,
    "mojibake": 0.0,
    "length_ratio": 10.0,
}
"""What a check's limit is where params name none; other checks have no limit."""

WHOLE_PAIR: frozenset[CheckName] = frozenset(
    {
        "identical",
        "near_identical",
        "tie",
        "overlap",
        "contradiction",
        "repeated",
        "reused_prompt",
        "length_ratio",
    }
)
"""Checks of a pair as a whole: they have no side."""


class Gate(Section):
    """A figure of a round as a whole, and the limits it has to lie within."""

    action: Literal["stop", "warn", "off"]
    """What a figure outside its limits does."""
    low: float | None = None
    """The lower limit."""
    high: float | None = None
    """The upper limit."""


GateName = Literal["chosen_longer", "margin_std", "distinct_answers", "distinct_2"]

DEFAULT_GATES: dict[GateName, Gate] = {
    "chosen_longer": Gate(action="stop", low=0.05, high=0.95),
    "margin_std": Gate(action="stop", low=0.001),
    "distinct_answers": Gate(action="stop", low=0.1),
    "distinct_2": Gate(action="stop", low=0.02),
}
"""What is believed where params do not say: `chosen_longer`, the share of kept pairs whose chosen
answer has more words; `margin_std`, their margins' standard deviation in nats; `distinct_answers`,
how different a prompt's answers are, 0 (all the same) to 1 (each another); `distinct_2`, different
word pairs among all of one answer to each of 256 prompts (docs/checks.md)."""


class Filter(Section):
    """`filter`: the data contract of a round's pairs."""

    checks: dict[CheckName, Check] = DEFAULT_CHECKS
    """What is done with which pairs of the rounds, and of seed and gold where no scores are needed;
    a check that is not named has its default, `off` ends it."""
    max_flagged: Share = 0.5
    """The run stops where a larger share of a round's, the seed's or gold's pairs is dropped."""
    min_kept: Count = 1
    """The run stops where fewer pairs are left."""
    gates: dict[GateName, Gate] = DEFAULT_GATES
    """Figures of the round that stop the run outside their limits, where it has 16 rows and more;
    a gate that is not named has its default, `off` ends it."""

    @field_validator("checks")
    @classmethod
    def _with_defaults(cls, named: dict[CheckName, Check]) -> dict[CheckName, Check]:
        faults = []
        for name, check in named.items():
            if check.limit is not None and name not in LIMITS:
                faults.append(f"{name} has no limit; found {check.limit:g}; take it out")
            if check.side != "either" and name in WHOLE_PAIR:
                faults.append(f"{name} looks at both answers; found side {check.side}")
        if faults:
            raise ValueError("; ".join(faults))
        return {**DEFAULT_CHECKS, **named}

    @field_validator("gates")
    @classmethod
    def _with_default_gates(cls, named: dict[GateName, Gate]) -> dict[GateName, Gate]:
        return {**DEFAULT_GATES, **named}
