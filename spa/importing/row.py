"""A row of a user's file: its fields, where it stands, and what is wrong with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from spa.errors import InputError


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a file, a row or a field.

    Attributes:
        file: the file's name.
        row: its number as a person counts: the line of JSON Lines and CSV (on which the row
            begins, the header being line 1), the row of Parquet, the item of a JSON list, all
            from 1; None where the whole file is at fault.
        field: the field, None where the whole row is at fault.
        found: what stands there.
        wanted: what was expected.
        advice: what to do about it.
    """

    file: str
    row: int | None
    field: str | None
    found: str
    wanted: str
    advice: str = "mend the row or take it out"

    @property
    def what(self) -> str:
        return f"{self.found}; wanted {self.wanted}"

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        field = "" if self.field is None else f", field '{self.field}'"
        return f"{self.file}{row}{field}: {self.what}; {self.advice}"


class RowError(InputError):
    """A row that cannot be used, with all its faults; its text is the first one's."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(str(faults[0]))
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Row:
    """A row and where it stands; `fail` raises the one error that bad rows get.

    A field may be null, which says as little as none.
    """

    file: str
    number: int
    fields: dict[str, Any]

    def has(self, field: str) -> bool:
        """Whether a field is there and not null."""
        return self.fields.get(field) is not None

    def fail(self, field: str, found: str, wanted: str) -> NoReturn:
        raise RowError([Fault(self.file, self.number, field, found, wanted)])

    def missing(self, field: str, wanted: str) -> NoReturn:
        names = [name if name.isprintable() else repr(name) for name in self.fields]
        found = ", ".join(names)[:200] or "no fields"
        self.fail(field, f"missing (found {found})", f"{wanted}, in a field of this name")


def all_of(*reads: Callable[[], Any]) -> list[Any]:
    """What every read returns, in order.

    Raises:
        RowError: with the faults of all reads that fail, not of the first alone.
    """
    results: list[Any] = []
    faults: list[Fault] = []
    for read in reads:
        try:
            results.append(read())
        except RowError as error:
            faults += error.faults
    if faults:
        raise RowError(faults)
    return results
