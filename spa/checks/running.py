"""Running the checks of pairs: which are kept, which are flagged, and why."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from spa.checks.measures import Known, measure_pairs
from spa.checks.suites import Suite, pair_rules
from spa.checks.validation import failing_rows
from spa.contract import Action, Check, CheckName
from spa.records import JudgedPair, Pair

P = TypeVar("P", bound=Pair)
_STRENGTH: dict[Action, int] = {"off": -1, "warn": 0, "drop": 1, "stop": 2}


@dataclass(frozen=True)
class Flag(Generic[P]):
    """A pair that at least one check speaks against.

    Attributes:
        row: its position among the pairs given, from 0.
        pair: the pair.
        reasons: `check` or `check:side`, in the order of the checks.
        action: the strongest of its checks: `warn` keeps the pair, `drop` and `stop` do not.
    """

    row: int
    pair: P
    reasons: list[str]
    action: Action


@dataclass(frozen=True)
class Outcome(Generic[P]):
    """What the checks found.

    Attributes:
        kept: pairs that no `drop` or `stop` check speaks against, in the order given.
        flagged: pairs with at least one reason, in the order given.
        counts: pairs per reason, `check` or `check:side`.
        stopping: reasons of checks whose action is `stop`.
    """

    kept: list[P]
    flagged: list[Flag[P]]
    counts: dict[str, int]
    stopping: list[str]

    @property
    def dropped(self) -> int:
        """Pairs that are not kept."""
        return sum(flag.action != "warn" for flag in self.flagged)


def run_checks(
    pairs: Sequence[P],
    checks: Mapping[CheckName, Check],
    *,
    held_out: Collection[str] = frozenset(),
    known: Known | None = None,
) -> Outcome[P]:
    """Check every pair.

    Args:
        pairs: pairs of one kind; checks on scores pass by pairs that are not judged.
        checks: `filter.checks` of params, or `INPUT_CHECKS` for a user's own file.
        held_out: prompts that must not be trained on, as `prompt_key` gives them.
        known: all that pairs are held against, in place of `held_out` alone.

    Raises:
        RuntimeError: an expectation could not be computed; that is a bug, not bad data.
    """
    suite = pair_suite(pairs, checks, known or Known(held_out=held_out))
    return outcome_of(pairs, suite, failing_rows(suite))


def pair_suite(
    pairs: Sequence[Pair],
    checks: Mapping[CheckName, Check],
    known: Known,
    *,
    name: str = "pairs",
) -> Suite:
    """The measures of pairs, and the rules that the checks make of them."""
    judged = bool(pairs) and isinstance(pairs[0], JudgedPair)
    languages = checks.get("other_language", Check(action="off")).action != "off"
    frame = measure_pairs(pairs, known, languages=languages)
    return Suite(name, frame, pair_rules(checks, judged=judged))


def outcome_of(pairs: Sequence[P], suite: Suite, failing: Sequence[Sequence[int]]) -> Outcome[P]:
    """What follows for each pair from the rows that fail each rule of its suite."""
    reasons: list[list[str]] = [[] for _ in pairs]
    actions: list[list[Action]] = [[] for _ in pairs]
    for rule, rows in zip(suite.rules, failing, strict=True):
        for row in rows:
            reasons[row].append(rule.reason)
            actions[row].append(rule.action)
    flagged = [
        Flag(row, pair, reasons[row], max(actions[row], key=lambda action: _STRENGTH[action]))
        for row, pair in enumerate(pairs)
        if reasons[row]
    ]
    out = {flag.row for flag in flagged if flag.action != "warn"}
    counts = Counter(reason for flag in flagged for reason in flag.reasons)
    return Outcome(
        kept=[pair for row, pair in enumerate(pairs) if row not in out],
        flagged=flagged,
        counts=dict(sorted(counts.items())),
        stopping=[r.reason for r in suite.rules if r.action == "stop" and counts[r.reason]],
    )
