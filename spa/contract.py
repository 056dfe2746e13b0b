"""The schema of `filter` in params.yaml: the data contract of a round."""

from typing import Literal

from pydantic import field_validator

from spa.section import Count, Section, Share

Action = Literal["drop", "warn", "stop", "off"]


class Check(Section):
    """One data check: what to do with a pair it speaks against, and which answers it reads."""

    action: Action
    side: Literal["chosen", "rejected", "either"] = "either"
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


class Filter(Section):
    """`filter`: the data contract of a round's pairs."""

    checks: dict[CheckName, Check] = DEFAULT_CHECKS
    """What is done with which pairs; a check that is not named has its default, `off` ends it."""
    max_flagged: Share = 0.5
    """The run stops where a larger share of the pairs is dropped."""
    min_kept: Count = 1
    """The run stops where fewer pairs are left."""

    @field_validator("checks")
    @classmethod
    def _with_defaults(cls, named: dict[CheckName, Check]) -> dict[CheckName, Check]:
        return {**DEFAULT_CHECKS, **named}
