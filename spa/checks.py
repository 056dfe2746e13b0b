"""The data contract of a round's pairs, run by Great Expectations.

Measures of every pair (spa/degeneracy.py) become columns; each check is one expectation
over one column; the rows that fail it are its flags.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.expectations.core import (
    ExpectColumnValuesToBeBetween,
    ExpectColumnValuesToBeInSet,
)

from spa import degeneracy
from spa.errors import ContractError
from spa.params import Check, CheckName
from spa.records import FlaggedPair, JudgedPair

_STRENGTH = {"warn": 0, "drop": 1, "stop": 2}
_PAIR_CHECKS: dict[CheckName, str] = {
    "identical": "identical",
    "near_identical": "similarity",
    "tie": "margin_size",
    "overlap": "held_out",
}
_ANSWER_CHECKS: dict[CheckName, str] = {
    "empty": "words",
    "cut": "finish_reason",
    "repetition": "repetition",
    "prompt_echo": "prompt_echo",
    "template_leak": "template_leaks",
}
LIMITS: dict[CheckName, float] = {
    "near_identical": 0.95,
    "repetition": 0.5,
    "prompt_echo": 0.9,
    "tie": 0.001,
}
"""What a check's limit is where params name none."""


@dataclass(frozen=True)
class Outcome:
    """What the checks found.

    Attributes:
        kept: pairs that no `drop` or `stop` check speaks against, in the order given.
        flagged: pairs with at least one reason, in the order given.
        counts: pairs per reason, `check` or `check:side`.
        stopping: reasons of checks whose action is `stop`.
    """

    kept: list[JudgedPair]
    flagged: list[FlaggedPair]
    counts: dict[str, int]
    stopping: list[str]

    @property
    def dropped(self) -> int:
        return sum(pair.action != "warn" for pair in self.flagged)


def run_checks(
    pairs: Sequence[JudgedPair], checks: Mapping[CheckName, Check], *, held_out: Collection[str]
) -> Outcome:
    """Check every pair.

    Args:
        pairs: pairs of one round.
        checks: `filter.checks` of params.
        held_out: prompts that must not be trained on, as `degeneracy.normalise` gives them.

    Raises:
        RuntimeError: an expectation could not be computed; that is a bug, not bad data.
    """
    wanted = _expectations(checks)
    failing = _validate(_measures(pairs, held_out), [make() for _, _, make in wanted])
    reasons: list[list[str]] = [[] for _ in pairs]
    actions: list[list[str]] = [[] for _ in pairs]
    for (name, reason, _), rows in zip(wanted, failing, strict=True):
        for row in rows:
            reasons[row].append(reason)
            actions[row].append(checks[name].action)
    flagged, kept = [], []
    for pair, why, what in zip(pairs, reasons, actions, strict=True):
        action = max(what, key=lambda a: _STRENGTH[a], default="")
        if why:
            flagged.append(FlaggedPair(**pair.row(), reasons=why, action=action))
        if action not in ("drop", "stop"):
            kept.append(pair)
    counts = Counter(reason for why in reasons for reason in why)
    stopping = [r for name, r, _ in wanted if checks[name].action == "stop" and counts[r]]
    return Outcome(kept, flagged, dict(sorted(counts.items())), stopping)


def enforce(outcome: Outcome, *, max_flagged: float, min_kept: int, where: str) -> None:
    """Stop the run where the data breaks the contract.

    Args:
        outcome: of `run_checks`.
        max_flagged: largest share of pairs that may be dropped.
        min_kept: fewest pairs that must be left.
        where: the file that shows the flagged rows.

    Raises:
        ContractError: names the number, the limit and where to look.
    """
    total = len(outcome.kept) + outcome.dropped
    if outcome.stopping:
        first = next(pair for pair in outcome.flagged if pair.action == "stop")
        raise ContractError(
            f"filter: found {outcome.counts[outcome.stopping[0]]} pairs with "
            f"{outcome.stopping[0]}, first {first.pair_id}; its action in params.yaml "
            f"(filter.checks) is stop; look at {where}"
        )
    if total and outcome.dropped > max_flagged * total:
        raise ContractError(
            f"filter: {outcome.dropped} of {total} pairs are dropped "
            f"({outcome.dropped / total:.0%}); wanted at most filter.max_flagged = "
            f"{max_flagged:.0%}; reasons: {_listed(outcome.counts)}; look at {where}"
        )
    if len(outcome.kept) < min_kept:
        raise ContractError(
            f"filter: {len(outcome.kept)} of {total} pairs are left; wanted at least "
            f"filter.min_kept = {min_kept}; reasons: {_listed(outcome.counts) or 'none'}; give the "
            f"round more prompts or look at {where}"
        )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.items())


def _measures(pairs: Sequence[JudgedPair], held_out: Collection[str]) -> pd.DataFrame:
    """One row per pair, one column per measure."""
    rows = []
    for index, pair in enumerate(pairs):
        question = pair.prompt[-1]["content"]
        same = degeneracy.normalise(pair.chosen) == degeneracy.normalise(pair.rejected)
        row: dict[str, Any] = {
            "row": index,
            "identical": same,
            "similarity": degeneracy.similarity(pair.chosen, pair.rejected),
            "margin_size": abs(pair.margin),
            "held_out": degeneracy.normalise(question) in held_out,
        }
        for side, answer, finish in (
            ("chosen", pair.chosen, pair.chosen_finish_reason),
            ("rejected", pair.rejected, pair.rejected_finish_reason),
        ):
            row |= {
                f"{side}_words": degeneracy.word_count(answer),
                f"{side}_finish_reason": finish,
                f"{side}_repetition": degeneracy.repetition(answer),
                f"{side}_prompt_echo": degeneracy.prompt_echo(question, answer),
                f"{side}_template_leaks": degeneracy.template_leaks(answer),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _expectations(
    checks: Mapping[CheckName, Check],
) -> list[tuple[CheckName, str, Callable[[], Any]]]:
    """Check, reason and the expectation to build, for every check and side that is on."""
    wanted: list[tuple[CheckName, str, Callable[[], Any]]] = []
    for name, check in checks.items():
        if check.action == "off":
            continue
        limit = LIMITS.get(name, 0.0) if check.limit is None else check.limit
        if name in _PAIR_CHECKS:
            wanted.append((name, name, _maker(name, _PAIR_CHECKS[name], limit)))
            continue
        sides = ("chosen", "rejected") if check.side == "either" else (check.side,)
        for side in sides:
            column = f"{side}_{_ANSWER_CHECKS[name]}"
            wanted.append((name, f"{name}:{side}", _maker(name, column, limit)))
    return wanted


def _maker(name: CheckName, column: str, limit: float) -> Callable[[], Any]:
    """How the expectation that a column keeps to its check is built."""
    match name:
        case "identical" | "overlap":
            return lambda: ExpectColumnValuesToBeInSet(column=column, value_set=[False])
        case "cut":
            return lambda: ExpectColumnValuesToBeInSet(column=column, value_set=["stop"])
        case "empty":
            return lambda: ExpectColumnValuesToBeBetween(column=column, min_value=1)
        case "template_leak":
            return lambda: ExpectColumnValuesToBeBetween(column=column, max_value=0)
        case "tie":
            return lambda: ExpectColumnValuesToBeBetween(
                column=column, min_value=limit, strict_min=True
            )
        case "near_identical" | "prompt_echo":
            return lambda: ExpectColumnValuesToBeBetween(
                column=column, max_value=limit, strict_max=True
            )
        case "repetition":
            return lambda: ExpectColumnValuesToBeBetween(column=column, max_value=limit)


def _validate(frame: pd.DataFrame, expectations: Sequence[Any]) -> list[list[int]]:
    """Row numbers that fail each expectation, in the expectations' order."""
    if frame.empty:
        return [[] for _ in expectations]  # every expectation holds on nothing
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("round").add_dataframe_asset("pairs")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="pairs", expectations=list(expectations))
    result = batch.validate(
        suite,
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": ["row"],
            "exclude_unexpected_values": True,
            "return_unexpected_index_query": False,
        },
    )
    found = {_identity(r.expectation_config): _failing_rows(r) for r in result.results}
    return [found[_identity(e.configuration)] for e in expectations]


def _identity(config: Any) -> tuple[str, str, str]:
    kwargs = {k: v for k, v in config.kwargs.items() if k != "batch_id"}
    return config.type, kwargs["column"], repr(sorted(kwargs.items(), key=lambda item: item[0]))


def _failing_rows(result: Any) -> list[int]:
    raised = result.exception_info or {}
    if raised.get("raised_exception"):
        raise RuntimeError(f"{result.expectation_config.type}: {raised.get('exception_message')}")
    listed = result.result.get("unexpected_index_list") or []
    return [int(row) for entry in listed for row in _as_list(entry["row"])]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
