"""What a file of preference pairs is, how many of its pairs are usable, and all its faults.

Every rule has its place elsewhere: rows are read by `spa.importing`, pairs checked by
`spa.checks`. Here their findings come together, by row.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spa.checks import INPUT_CHECKS, Flag, run_checks
from spa.checks.measures import pair_key
from spa.findings import (
    Finding,
    check_finding,
    long_finding,
    read_finding,
    role_finding,
    same_prompt_finding,
)
from spa.importing.files import file_kinds, scan_rows
from spa.importing.pairs import PAIR_FIELDS, pair_of
from spa.importing.row import Fault, Row, RowError
from spa.importing.shapes import Shape, describe, shape_of
from spa.records import Pair
from spa.same_prompts import prompt_key

_USES = {
    Shape.PROMPTS: "split.prompts in params.yaml reads it",
    Shape.INSTRUCTIONS: "split.instructions in params.yaml reads it",
    Shape.ANSWERS: "`spa score` reads it",
    Shape.ANNOTATIONS: "`spa winrate` reads it",
}


@dataclass(frozen=True)
class Validation:
    """What was found in a source.

    Attributes:
        format: the shape of its rows, in words.
        kind: the kind of its files: `JSON Lines, gzip`.
        rows: how many rows it has, those that cannot be read included.
        usable_pairs: pairs that no error and no check with the action `drop` speaks against.
        faults: everything found, in the order of the rows.
        columns_not_read: fields that pairs have no use for.
        other_use: what reads the file, where it holds no pairs.
    """

    format: str
    kind: str
    rows: int
    usable_pairs: int
    faults: list[Finding]
    columns_not_read: list[str]
    other_use: str | None

    @property
    def passed(self) -> bool:
        """Whether there is a usable pair and no row with an error."""
        return self.usable_pairs > 0 and all(fault.action != "error" for fault in self.faults)


@dataclass
class _Scan:
    """What one pass over a source collects."""

    shapes: Counter[Shape] = field(default_factory=Counter)
    columns: set[str] = field(default_factory=set)
    unread: int = 0
    faults: list[tuple[int, Fault]] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    rows: list[tuple[int, Row]] = field(default_factory=list)
    """Position and row of each pair."""


def validate(source: str, root: Path) -> Validation:
    """Find everything that is wrong with preference pairs; no model and no pipeline is needed.

    Args:
        source: a file or folder relative to `root`, or `org/name@commit` on the Hub.
        root: the folder that `source` is relative to.

    Raises:
        InputError: the source is not there, or is no kind of file that can be read.
    """
    kinds = file_kinds(source, root)
    scan = _scan(source, root)
    found = [(position, read_finding(fault)) for position, fault in scan.faults]
    for (position, row), pair in zip(scan.rows, scan.pairs, strict=True):
        warned = long_finding(row, pair), role_finding(row, pair)
        found += [(position, finding) for finding in warned if finding]
    found += _same_prompts(scan)
    outcome = run_checks(scan.pairs, INPUT_CHECKS)
    twins = _twins(scan, outcome.flagged)
    for flag in outcome.flagged:
        position, row = scan.rows[flag.row]
        for reason in flag.reasons:
            found.append((position, check_finding(row, reason, twins.get((flag.row, reason)))))
    shape = max(scan.shapes, key=lambda one: scan.shapes[one], default=Shape.UNKNOWN)
    return Validation(
        format=describe(scan.shapes),
        kind="; ".join(kinds),
        rows=scan.shapes.total() + scan.unread,
        usable_pairs=len(outcome.kept),
        faults=[finding for _, finding in sorted(found, key=lambda item: item[0])],
        columns_not_read=sorted(scan.columns),
        other_use=_USES.get(shape),
    )


def _scan(source: str, root: Path) -> _Scan:
    scan = _Scan()
    for position, item in enumerate(scan_rows(source, root)):
        try:
            if isinstance(item, RowError):
                scan.unread += item.faults[0].row is not None
                raise item
            scan.shapes[shape_of(item.fields)] += 1
            scan.columns |= item.fields.keys() - PAIR_FIELDS
            scan.pairs.append(pair_of(item))
            scan.rows.append((position, item))
        except RowError as error:
            scan.faults += [(position, fault) for fault in error.faults]
    return scan


def _same_prompts(scan: _Scan) -> Iterator[tuple[int, Finding]]:
    """The first row of every prompt that is one before it, though not to the letter."""
    first: dict[str, Row] = {}
    seen: set[str] = set()
    for (position, row), pair in zip(scan.rows, scan.pairs, strict=True):
        if pair.prompt_id not in seen:
            twin = first.setdefault(prompt_key(pair.prompt), row)
            if twin is not row:
                yield position, same_prompt_finding(row, twin)
        seen.add(pair.prompt_id)


def _twins(scan: _Scan, flagged: Sequence[Flag[Pair]]) -> dict[tuple[int, str], Row]:
    """The first row that a pair repeats or contradicts, by the pair's number and the reason."""
    if not any({"repeated", "contradiction"} & set(flag.reasons) for flag in flagged):
        return {}
    first: dict[tuple[str, str, str], int] = {}
    for number, pair in enumerate(scan.pairs):
        first.setdefault(pair_key(pair), number)
    twins = {}
    for flag in flagged:
        question, chosen, rejected = pair_key(flag.pair)
        for reason, key in (
            ("repeated", (question, chosen, rejected)),
            ("contradiction", (question, rejected, chosen)),
        ):
            if reason in flag.reasons:
                twins[flag.row, reason] = scan.rows[first[key]][1]
    return twins
