"""Tool `validate`: what a file of preference pairs is, and everything that is wrong with it."""

from typing import TYPE_CHECKING, Annotated

import typer

from stages._terminal import lines

if TYPE_CHECKING:
    from spa.findings import Finding
    from spa.validation import Validation

File = Annotated[
    str,
    typer.Argument(
        help="Preference pairs: .jsonl, .json, .csv or .parquet, gzipped or not; a folder of such "
        "files; or a Hub dataset, org/name@commit."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

_FIRST = 5
"""Rows that are named of each kind of fault."""


def main(file: File, as_json: Json = False) -> None:
    """Check a file of preference pairs: its format, how many pairs are usable, every fault.

    An error is a row that cannot be read: `spa split` stops there. `drop` marks pairs that
    teach nothing or mislead, `warn` usable ones that may be odd. Exit code 0 if a pair is usable
    and no row has an error. Needs no pipeline and no model.
    """
    import json
    from dataclasses import asdict
    from pathlib import Path

    from spa.validation import validate

    found = validate(file, Path.cwd())
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        print(lines("\n".join(report(file, found))))
    if not found.passed:
        raise typer.Exit(1)


def report(name: str, found: "Validation") -> list[str]:
    """Lines for people: what the file is, its faults by kind with their first rows, what to do."""
    lines = [
        f"{name}: {found.format} ({found.kind})",
        f"  rows          {found.rows:>8}",
        f"  usable pairs  {found.usable_pairs:>8}",
    ]
    if found.columns_not_read and not found.other_use:
        lines.append(f"  columns not read: {', '.join(found.columns_not_read)}")
    if found.faults:
        lines += ["", *_table(found.faults), ""]
    return lines + _advice(found)


def _table(faults: "list[Finding]") -> list[str]:
    """One block per kind of fault, errors first, the most frequent first: rows and an example."""
    kinds: dict[tuple[str, str, str], list[Finding]] = {}
    for fault in faults:
        kinds.setdefault((fault.action, fault.field or "", fault.topic), []).append(fault)
    order = {"error": 0, "drop": 1, "warn": 2}
    ranked = sorted(kinds.items(), key=lambda kind: (order[kind[0][0]], -len(kind[1])))
    several = len({fault.file for fault in faults}) > 1
    lines = [f"{'action':<6}  {'found':>6}  what"]
    for (action, field, topic), group in ranked:
        lines.append(f"{action:<6}  {len(group):>6}  {field + ': ' if field else ''}{topic}")
        places = ", ".join(_place(fault, several) for fault in group[:_FIRST])
        more = f" and {len(group) - _FIRST} more" if len(group) > _FIRST else ""
        lines.append(f"{'':>16}in {places}{more}")
        if group[0].what != topic:
            lines.append(f"{'':>16}{_place(group[0], several)}: {group[0].what}")
    return lines


def _place(fault: "Finding", several: bool) -> str:
    where = "the file" if fault.row is None else f"row {fault.row}"
    return f"{fault.file} {where}" if several else where


def _advice(found: "Validation") -> list[str]:
    actions = {fault.action for fault in found.faults}
    lines = []
    if found.other_use:
        lines.append(f"These are not preference pairs; {found.other_use}.")
    elif "error" in actions:
        lines.append("Fix or remove the rows with errors: `spa split` stops at the first.")
    if "drop" in actions:
        lines.append(
            "Fix or remove what is marked `drop`: in seed and gold it is not trained or evaluated "
            "on, unless filter.checks in params.yaml says otherwise."
        )
    if "warn" in actions:
        lines.append("Look at some of the pairs marked `warn`; they count as usable.")
    if any(fault.row is not None for fault in found.faults):
        lines.append(
            "Rows are counted from 1: by line in JSON Lines and CSV (a CSV row by its first "
            "line), by item in JSON, by row in Parquet."
        )
    if not found.rows and not lines:
        return ["Found no rows; wanted preference pairs."]
    return lines or ["No faults found."]
