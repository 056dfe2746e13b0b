"""What an audit finds: faults, each with its file and row, and notes that are none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any


@dataclass(frozen=True)
class Fault:
    """Something that is not as it was made: file relative to the pipeline, row from 1 if one is."""

    file: str
    row: int | None
    what: str

    def __str__(self) -> str:
        return f"{self.file}{'' if self.row is None else f', row {self.row}'}: {self.what}"


@dataclass
class Findings:
    """Collects faults and notes in the order in which checks find them."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    prompts: dict[str, Any] = field(default_factory=dict)
    """Prompts whose id was found to be their hash, so that each is hashed once."""
    unread: set[str] = field(default_factory=set)
    """Files that cannot be read, so that nothing can be held against their rows."""

    def fault(self, file: str, what: str, row: int | None = None) -> None:
        """Add a fault; what is there already is not said again."""
        found = Fault(file, row, what)
        if found not in self.faults[-1:]:
            self.faults.append(found)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def order(self, file: str, ids: Sequence[str], wanted: Sequence[str], parent: str) -> None:
        """Hold a file's row ids against those that follow from its parent, in order.

        Where either cannot be read, that is the fault, and not each of the other's rows.

        Args:
            file: whose rows are looked at.
            ids: their ids.
            wanted: the ids they should have.
            parent: where these follow from, for the messages.
        """
        if ids == wanted or self.unread & {file, parent}:
            return
        known, seen, before = set(wanted), set[str](), len(self.faults)
        for row, own in enumerate(ids, 1):
            if own not in known:
                self.fault(file, f"{own} does not follow from {parent}: added or edited", row)
            elif own in seen:
                self.fault(file, f"{own} is there twice", row)
            seen.add(own)
        for row, own in enumerate(wanted, 1):
            if own not in seen:
                self.fault(file, f"lacks {own}, which is to stand here by {parent}: removed", row)
        if len(self.faults) == before:
            pairs = enumerate(zip_longest(ids, wanted), 1)
            row, one, other = next((n, a, b) for n, (a, b) in pairs if a != b)
            self.fault(file, f"found {one}; wanted {other} here by {parent}: out of order", row)
