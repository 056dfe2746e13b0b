"""Tool `doctor`: what is wrong, before hours are spent."""

from typing import Annotated

import typer

from stages._terminal import lines

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main(as_json: Json = False) -> None:
    """List everything that would stop a run or spoil its results, all at once.

    Checks params as a whole, data, pools, chat template, lengths, versions, memory, disk, device
    and the services that the run uses. Prints one line per check: ok, note or FAULT, with its key
    or file and what to do. Loads no weights; writes, downloads and pays for nothing. Exit code 1
    if there is a fault.
    """
    import contextlib
    import json
    import sys
    from dataclasses import asdict

    from spa.doctor import examine
    from spa.layout import Layout

    with contextlib.redirect_stdout(sys.stderr):  # libraries may chatter
        findings = examine(Layout.find())
    faults = [finding for finding in findings if finding.state == "fault"]
    if as_json:
        print(json.dumps({"ok": not faults, "checks": [asdict(one) for one in findings]}))
    else:
        for one in findings:
            state = "FAULT" if one.state == "fault" else one.state
            print(f"{state:<5}  {one.check:<10}  {lines(one.text)}")
        print(f"doctor: {len(faults)} faults" if faults else "doctor: no faults")
    raise typer.Exit(1 if faults else 0)
