"""Tool `audit`: is everything as it was made?"""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spa.audit.findings import Fault

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
SHOWN = 20


def main(as_json: Json = False) -> None:
    """Check every file against dvc.lock and the manifests, and every row against its parents.

    Tamper-evident, not tamper-proof: an edit of data, labels, policies, params, dvc.lock or a
    manifest is reported with file and row. A rewrite of all records shows only against
    the root hash, kept elsewhere in a signed tag. Changes nothing and runs no model. Exit code 1
    if anything is wrong.
    """
    import json
    from dataclasses import asdict

    from spa.audit import audit
    from spa.layout import Layout

    found = audit(Layout.find())
    faults, notes = found.findings.faults, found.findings.notes
    if as_json:
        shown = {"faults": [asdict(f) for f in faults], "notes": notes}
        print(
            json.dumps(
                {"ok": not faults, "root_hash": found.root_hash, "pairs": found.pairs, **shown}
            )
        )
    else:
        _show(faults, notes)
        print(f"root hash: {found.root_hash or 'none, because a stage has no manifest'}")
        verdict = f"{len(faults)} faults" if faults else "as it was made"
        print(f"audit: {found.pairs} pairs read: {verdict}")
    raise typer.Exit(1 if faults else 0)


def _show(faults: "list[Fault]", notes: list[str]) -> None:
    """Faults by file, the first ones of each; all are in --json."""
    by_file: dict[str, list[Fault]] = {}
    for fault in faults:
        by_file.setdefault(fault.file, []).append(fault)
    for file, own in by_file.items():
        for fault in own[:SHOWN]:
            print(fault)
        if len(own) > SHOWN:
            print(f"{file}: {len(own) - SHOWN} more (--json lists all)")
    for note in notes:
        print(f"note: {note}")
