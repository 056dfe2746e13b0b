"""What is expected of every record file: one Great Expectations expectation per reason."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from great_expectations.expectations.core import (
    ExpectColumnValuesToBeBetween as _Between,
)
from great_expectations.expectations.core import (
    ExpectColumnValuesToBeInSet as _InSet,
)
from great_expectations.expectations.core import (
    ExpectColumnValuesToNotBeInSet as _NotInSet,
)

from spa.checks.measures import SIDES
from spa.contract import DEFAULT_CHECKS, LIMITS, Action, Check, CheckName, of_given_pairs

INPUT_CHECKS: dict[CheckName, Check] = {
    n: c for n, c in of_given_pairs(DEFAULT_CHECKS).items() if n != "overlap"
}
"""The checks of a user's own file, of which no params and no held-out prompts are known."""

_JUDGED = ("tie", "non_finite", "missing_end")
"""Checks that only pairs with scores can meet."""


@dataclass(frozen=True)
class Rule:
    """One expectation, the reason that a row gets which fails it, and what follows."""

    reason: str
    action: Action
    expectation: Any


@dataclass(frozen=True)
class Suite:
    """A record file's measures, one row each with its position as `row`, and their rules."""

    name: str
    frame: pd.DataFrame
    rules: list[Rule]


def rule(reason: str, action: Action, column: str, expected: "Expected") -> Rule:
    """One rule; Great Expectations carries reason and action along."""
    kind, kwargs = expected
    meta = {"reason": reason, "action": action}
    said = f"{reason} ({action}): {column} {_said(kind, kwargs)}"
    return Rule(reason, action, kind(column=column, meta=meta, description=said, **kwargs))


def _said(kind: Any, kwargs: dict[str, Any]) -> str:
    """What is expected, for people who read the pages."""
    if "value_set" in kwargs:
        values = ", ".join(str(value).lower() for value in kwargs["value_set"])
        return f"is {'never' if kind is _NotInSet else 'only'} {values}"
    if "min_value" in kwargs:
        return f"is above {kwargs['min_value']:g}"
    return f"is {'below' if kwargs.get('strict_max') else 'at most'} {kwargs['max_value']:g}"


def pair_rules(checks: Mapping[CheckName, Check], *, judged: bool) -> list[Rule]:
    """The rules of all checks and sides that are on.

    Args:
        checks: what is done where; a check that is not named is not made.
        judged: whether the pairs have scores; those of a user's file have none.
    """
    rules = []
    for name, check in checks.items():
        if check.action != "off" and (judged or name not in _JUDGED):
            limit = LIMITS.get(name, 0.0) if check.limit is None else check.limit
            for reason, column, expected in _expected(name, check, limit):
                rules.append(rule(reason, check.action, column, expected))
    return rules


Expected = tuple[Any, dict[str, Any]]
"""A kind of expectation with its arguments."""


def _expected(name: CheckName, check: Check, limit: float) -> Iterator[tuple[str, str, Expected]]:
    """Reason, column and what is expected of it."""
    if name in _OF_PAIR:
        column, make = _OF_PAIR[name]
        yield name, column, make(limit)
        return
    if name == "non_finite":
        yield "non_finite:margin", "margin_finite", _true(limit)
    for side in SIDES if check.side == "either" else (check.side,):
        if name == "empty":
            for content in ("empty", "blank", "wordless"):
                yield f"{content}:{side}", f"{side}_content", without(content)
        else:
            column, make = _OF_ANSWER[name]
            yield f"{name}:{side}", f"{side}_{column}", make(limit)


def _true(_: float) -> Expected:
    return one_of(True)


def _false(_: float) -> Expected:
    return one_of(False)


def _finished(_: float) -> Expected:
    return one_of("stop")


def one_of(*values: object) -> Expected:
    """The column has these values only."""
    return _InSet, {"value_set": list(values)}


def without(*values: object) -> Expected:
    """The column has none of these values."""
    return _NotInSet, {"value_set": list(values)}


def _above(limit: float) -> Expected:
    return _Between, {"min_value": limit, "strict_min": True}


def _below(limit: float) -> Expected:
    return _Between, {"max_value": limit, "strict_max": True}


def _at_most(limit: float) -> Expected:
    return _Between, {"max_value": limit}


_OF_PAIR: dict[CheckName, tuple[str, Callable[[float], Expected]]] = {
    "identical": ("identical", _false),
    "near_identical": ("similarity", _below),
    "tie": ("margin_size", _above),
    "overlap": ("held_out", _false),
    "contradiction": ("contradiction", _false),
    "repeated": ("repeated", _false),
    "reused_prompt": ("earlier", _false),
    "length_ratio": ("length_ratio", _below),
}
"""Column and expectation of each check that looks at a pair as a whole."""

_OF_ANSWER: dict[CheckName, tuple[str, Callable[[float], Expected]]] = {
    "cut": ("finish_reason", _finished),
    "repetition": ("repetition", _at_most),
    "prompt_echo": ("prompt_echo", _below),
    "template_leak": ("template_leaks", _at_most),
    "non_finite": ("finite", _true),
    "missing_end": ("ended", _true),
    "other_language": ("language", _below),
    "mojibake": ("mojibake", _at_most),
}
"""The same of each check that looks at one answer; the side comes before the column's name."""
