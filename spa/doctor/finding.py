"""What one check found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "fault"]
SHOWN = 5
"""Rows of one kind that are named; the others are counted."""


@dataclass(frozen=True)
class Finding:
    """One line: all is well, something to know, or something that would stop the run or spoil it.

    A fault's text says where, what was found, what was wanted and what to do.
    """

    check: str
    state: State
    text: str


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", text)


def note(check: str, text: str) -> Finding:
    """Something to know."""
    return Finding(check, "note", text)


def fault(check: str, error: object) -> Finding:
    """Something that would stop the run, or spoil what it makes."""
    return Finding(check, "fault", " ".join(str(error).split()))


def faults_or_ok(check: str, faults: Sequence[object], text: str) -> list[Finding]:
    """Every fault, or that there is none."""
    return [fault(check, one) for one in faults] or [ok(check, text)]
