"""Gates: figures of a round as a whole, each with its limits and a verdict."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from spa.checks.running import Outcome
from spa.checks.suites import Suite
from spa.contract import Filter, Gate, GateName
from spa.degeneracy import distinct_pairs, normalise, word_count
from spa.errors import ContractError
from spa.records import JudgedPair, Response

FEWEST = 16
"""Rows below which the figures of `filter.gates` say too little to stop a run."""
_SAMPLE = 256

Gold = Literal["gold"]


@dataclass(frozen=True)
class Verdict:
    """A gate's figure against its limits.

    Attributes:
        gate: `max_flagged`, `min_kept` or a name of `filter.gates`.
        number: the figure; None where there are too few rows to tell.
        low: least believed, or None for no limit.
        high: most believed, likewise.
        verdict: `holds`, `too few`, or the gate's action where it trips.
    """

    gate: str
    number: float | None
    low: float | None
    high: float | None
    verdict: Literal["holds", "too few", "warn", "stop"]


def chosen_longer(pairs: Sequence[JudgedPair]) -> float:
    """Share of pairs whose chosen answer has more words than the rejected one; 0 for no pairs."""
    longer = [word_count(pair.chosen) > word_count(pair.rejected) for pair in pairs]
    return float(np.mean(longer)) if longer else 0.0


def distinct_answers(responses: Sequence[Response]) -> float:
    """How different the answers of a prompt are, in the mean over prompts with several.

    (different answers - 1) / (answers - 1): 0 where all are the same but for case, blanks and
    Unicode form, 1 where each is another; 1 where no prompt has two.
    """
    answers: dict[str, list[str]] = defaultdict(list)
    for response in responses:
        answers[response.prompt_id].append(normalise(response.text))
    shares = [(len(set(a)) - 1) / (len(a) - 1) for a in answers.values() if len(a) > 1]
    return float(np.mean(shares)) if shares else 1.0


def distinct_2(responses: Sequence[Response]) -> float:
    """Different word pairs among all of the first answers to the round's first 256 prompts."""
    return distinct_pairs(
        list({r.prompt_id: r.text for r in reversed(responses)}.values())[-_SAMPLE:]
    )


def judge_gates(
    outcome: Outcome[JudgedPair], responses: Sequence[Response], settings: Filter
) -> list[Verdict]:
    """Every gate of a round that is on, `max_flagged` and `min_kept` first."""
    kept = outcome.kept
    found = [
        judge_dropped(outcome, settings),
        _verdict("min_kept", len(kept), Gate(action="stop", low=settings.min_kept)),
    ]
    margins = [pair.margin for pair in kept if np.isfinite(pair.margin)]
    figures: Mapping[GateName, tuple[int, float]] = {
        "chosen_longer": (len(kept), chosen_longer(kept)),
        "margin_std": (len(margins), float(np.std(margins)) if margins else 0.0),
        "distinct_answers": (len(responses), distinct_answers(responses)),
        "distinct_2": (len(responses), distinct_2(responses)),
    }
    for name, gate in settings.gates.items():
        if gate.action != "off":
            rows, number = figures[name]
            found.append(_verdict(name, number if rows >= FEWEST else None, gate))
    return found


def judge_dropped(outcome: Outcome[Any], settings: Filter) -> Verdict:
    """The gate `max_flagged`, which the seed and the gold pairs have as well."""
    total = len(outcome.kept) + outcome.dropped
    share = outcome.dropped / total if total else 0.0
    return _verdict("max_flagged", share, Gate(action="stop", high=settings.max_flagged))


def _verdict(name: str, number: float | None, gate: Gate) -> Verdict:
    if number is None or gate.action == "off":
        return Verdict(name, None, gate.low, gate.high, "too few")
    low = -np.inf if gate.low is None else gate.low
    high = np.inf if gate.high is None else gate.high
    verdict = "holds" if low <= number <= high else gate.action
    return Verdict(name, number, gate.low, gate.high, verdict)


def enforce(outcome: Outcome[Any], verdicts: Sequence[Verdict], *, round: int | Gold) -> None:
    """Stop the run where the data breaks the contract.

    Args:
        outcome: of the round's pairs.
        verdicts: of its gates.
        round: the round; 0 is the seed, which `split` draws as it does `gold`.

    Raises:
        ContractError: names the number, the limit and the command that shows the rows.
    """
    if outcome.stopping:
        reason = outcome.stopping[0]
        first = next(f.pair.pair_id for f in outcome.flagged if reason in f.reasons)
        raise ContractError(
            f"{_stage(round)}: found {outcome.counts[reason]} pairs with {reason}, first {first}; "
            f"wanted none, as its action in params.yaml (filter.checks) is stop; "
            f"`{_command(round)} --reason {reason}` shows them"
        )
    for verdict in verdicts:
        if verdict.verdict == "stop":
            raise ContractError(describe(verdict, outcome.counts, round=round))


def enforce_files(checked: Iterable[tuple[Suite, Sequence[Sequence[int]]]], *, round: int) -> None:
    """Stop the run where a file that pairs come from is broken as such.

    Args:
        checked: suites with the rows that fail each of their rules.
        round: the round.

    Raises:
        ContractError: names the file's suite, the reason, and how many rows.
    """
    for suite, failing in checked:
        for rule, rows in zip(suite.rules, failing, strict=True):
            if rule.action == "stop" and rows:
                raise ContractError(
                    f"filter@{round}: found {len(rows)} rows of {suite.name} with {rule.reason}, "
                    f"first row {rows[0] + 1}; wanted none; run the stage that writes them again "
                    "(`dvc repro --force`)"
                )


def _stage(round: int | Gold) -> str:
    return f"filter@{round}" if round not in (0, "gold") else "split"


def _command(round: int | Gold) -> str:
    return "spa flagged --gold" if round == "gold" else f"spa flagged --round {round}"


def limits(low: float | None, high: float | None) -> str:
    """What a gate believes, in words."""
    said = [f"at least {low:g}"] if low is not None else []
    said += [f"at most {high:g}"] if high is not None else []
    return " and ".join(said)


def describe(verdict: Verdict, counts: Mapping[str, int], *, round: int | Gold) -> str:
    """A gate that trips in one line: number, limit, and the command that shows the rows."""
    own = verdict.gate in ("max_flagged", "min_kept")
    key = f"filter.{verdict.gate}" if own else f"filter.gates.{verdict.gate}"
    what = {
        "max_flagged": "the share of pairs that are dropped",
        "min_kept": "the number of pairs that are kept",
    }.get(verdict.gate, verdict.gate)
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items()) or "none"
    return (
        f"{_stage(round)}: {what} is {verdict.number:.4g}; wanted "
        f"{limits(verdict.low, verdict.high)} ({key} in params.yaml); "
        f"{f'reasons: {reasons}; ' if own else ''}"
        f"`{_command(round)}{'' if own else f' --reason {verdict.gate}'}` shows the rows"
    )
