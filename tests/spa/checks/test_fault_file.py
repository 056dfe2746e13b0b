"""A file with known faults: exact reasons find them all and no good row, heuristics nearly so."""

from collections import Counter
from pathlib import Path

import pytest

from spa.checks import Outcome
from spa.checks.leaks import template_leaks
from spa.checks.running import outcome_of, pair_suite
from spa.checks.validation import as_json, failing_rows
from spa.contract import DEFAULT_CHECKS
from spa.digest import digest
from spa.records import FlaggedPair, JudgedPair
from spa.tables import read_table, write_table
from tests.spa.checks.fault_file import COPIES, FaultFile, make_fault_file
from tests.spa.checks.leak_texts import GOOD, LEAKS

EXACT = {
    "identical", "empty", "blank", "wordless", "template_leak", "contradiction", "repeated",
    "reused_prompt", "overlap", "tie", "non_finite", "missing_end",
}  # fmt: skip
HEURISTIC = {
    "near_identical", "cut", "repetition", "prompt_echo", "other_language", "mojibake",
    "length_ratio",
}  # fmt: skip


@pytest.fixture(scope="module")
def faults() -> FaultFile:
    return make_fault_file(good=500, seed=7)


@pytest.fixture(scope="module")
def checked(faults: FaultFile) -> tuple[Outcome[JudgedPair], dict[str, int]]:
    """The outcome, and Great Expectations' own count of failing rows by reason."""
    suite = pair_suite(faults.pairs, DEFAULT_CHECKS, faults.known)
    failing = failing_rows(suite)
    counted = {e["reason"]: e["failing"] for e in as_json(suite, failing)["expectations"]}
    return outcome_of(faults.pairs, suite, failing), counted


def _kind(reason: str) -> str:
    return reason.split(":")[0]


def test_every_reason_is_there_at_least_three_times(faults: FaultFile) -> None:
    counts = Counter(_kind(reason) for reason in faults.wanted.values())
    assert set(counts) == EXACT | HEURISTIC
    assert min(counts.values()) >= 3 <= COPIES
    assert len(faults.pairs) - len(faults.wanted) >= 500


def test_exact_reasons_find_every_fault_and_flag_no_good_row(
    faults: FaultFile, checked: tuple[Outcome[JudgedPair], dict[str, int]]
) -> None:
    outcome, _ = checked
    found = {flag.row: flag.reasons for flag in outcome.flagged}
    for row, reason in faults.wanted.items():
        if _kind(reason) in EXACT:
            assert reason in found.get(row, []), (row, reason, faults.pairs[row])
    for row, reasons in found.items():
        exact = [r for r in reasons if _kind(r) in EXACT]
        assert not exact or exact == [faults.wanted.get(row)], (row, exact, faults.pairs[row])


def test_heuristic_reasons_have_sane_precision_and_recall(
    faults: FaultFile, checked: tuple[Outcome[JudgedPair], dict[str, int]]
) -> None:
    """An answer may earn a second heuristic reason by right, as an echo repeats nothing new."""
    outcome, _ = checked
    for kind in sorted(HEURISTIC):
        found = {f.row for f in outcome.flagged if kind in map(_kind, f.reasons)}
        wanted = {row for row, reason in faults.wanted.items() if _kind(reason) == kind}
        good = found - faults.wanted.keys()
        precision = len(found & wanted) / max(len(found & wanted) + len(good), 1)
        recall = len(found & wanted) / len(wanted)
        print(f"{kind}: precision {precision:.2f} over good rows, recall {recall:.2f}")
        assert precision >= 0.9, kind
        assert recall >= 0.75, kind


def test_template_leaks_are_found_among_texts_that_look_like_them() -> None:
    """50 of 51 leaks, and 2 of 39 good texts: precision 50/52, recall 50/51."""
    found = sum(template_leaks(text) > 0 for text in LEAKS)
    wrong = sum(template_leaks(text) > 0 for text in GOOD)
    print(
        f"template_leak: precision {found / (found + wrong):.2f}, recall {found / len(LEAKS):.2f}"
    )
    assert (found, len(LEAKS), wrong, len(GOOD)) == (50, 51, 2, 39)


def test_great_expectations_flags_and_counts_agree(
    faults: FaultFile, checked: tuple[Outcome[JudgedPair], dict[str, int]]
) -> None:
    outcome, counted = checked
    flags = Counter(reason for flag in outcome.flagged for reason in flag.reasons)
    assert dict(flags) == outcome.counts
    assert {reason: n for reason, n in counted.items() if n} == outcome.counts
    assert outcome.stopping == ["overlap"]
    assert len(outcome.kept) + outcome.dropped == len(faults.pairs)


def test_flagged_parquet_and_what_the_report_shows_agree_with_them(
    checked: tuple[Outcome[JudgedPair], dict[str, int]], tmp_path: Path
) -> None:
    """Of each reason as many pairs, and of these as many dropped."""
    outcome, counted = checked
    rows = [
        FlaggedPair(**f.pair.row(), reasons=f.reasons, action=f.action) for f in outcome.flagged
    ]
    write_table(tmp_path / "flagged.parquet", rows, FlaggedPair)
    flagged = read_table(tmp_path / "flagged.parquet", FlaggedPair)
    found = digest(outcome.kept, flagged, {}, [])
    shown = found["reasons"]
    assert {reason: own["pairs"] for reason, own in shown.items()} == outcome.counts
    assert {reason for reason, n in counted.items() if n} == shown.keys()
    assert (found["kept"], found["flagged"]) == (len(outcome.kept), len(outcome.flagged))
    assert sum(flag.action != "warn" for flag in flagged) == outcome.dropped
    for reason in ("identical", "tie", "contradiction", "repeated"):
        assert shown[reason]["dropped"] == shown[reason]["pairs"]
