"""Rows of CSV: a header, then one row a record, also with quoted commas and line ends."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import IO, Any

from spa.importing.row import Fault, Row, RowError
from spa.importing.utf8 import ERRORS, is_utf8, not_utf8, wrong_field

_SEPARATORS = ",;\t"
_LIST = re.compile(r"\s*\[\s*\{")
_MESSAGES = re.compile(r"\s*\[\s*\{\s*['\"](?:role|content)['\"]\s*:")


def csv_rows(stream: IO[bytes], name: str) -> Iterator[Row | RowError]:
    """One row a record; the separator is the one of `,`, `;` and tab that the header has most.

    A cell that holds a JSON list of objects with `role` or `content` is read as that list:
    messages have no other place in CSV. All other cells are text, and lines without any are none.

    Args:
        stream: the file's bytes.
        name: the file's name, for errors.

    Returns:
        Rows, and errors in place of those that cannot be read, numbered by the line of the file
        on which they begin; the header is line 1.
    """
    csv.field_size_limit(sys.maxsize)  # answers may be longer than csv's 131,072 characters
    text = io.TextIOWrapper(stream, "utf-8-sig", errors=ERRORS, newline="")
    first = text.readline()
    separator = max(_SEPARATORS, key=first.count)
    records = csv.reader(chain([first], text), delimiter=separator, strict=True)
    header: list[str] | None = None
    while True:
        line = records.line_num + 1
        try:
            cells = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            wanted = 'cells in whole quotes, with "" for a quote inside'
            yield RowError([Fault(name, line, None, f"is not CSV ({error})", wanted)])
            continue
        if not cells:
            continue
        if header is None:
            header = cells
            if repeated := {column for column in header if column and header.count(column) > 1}:
                found = f"found the column {min(repeated)} twice"
                yield RowError([Fault(name, line, None, found, "every column once")])
                return
        else:
            yield _row(header, cells, name, line)


def _row(header: Sequence[str], cells: Sequence[str], name: str, line: int) -> Row | RowError:
    if len(cells) != len(header):
        wanted = f"{len(header)}, as the header has; quotes around cells with separators"
        return RowError([Fault(name, line, None, f"found {len(cells)} cells", wanted)])
    text = {column: cell for column, cell in zip(header, cells, strict=True) if column}
    if not all(map(is_utf8, cells)):
        return not_utf8(name, line, wrong_field(text))
    row = Row(name, line, {column: _value(cell) for column, cell in text.items()})
    wrong = [column for column, value in row.fields.items() if _is_unread(value)]
    if wrong:
        found = "found messages that are not JSON"
        return RowError([Fault(name, line, column, found, "a JSON list") for column in wrong])
    return row


def _value(cell: str) -> Any:
    if not _LIST.match(cell):
        return cell
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    turns = any(isinstance(own, dict) and {"role", "content"} & own.keys() for own in value)
    return value if turns else cell


def _is_unread(value: Any) -> bool:
    return isinstance(value, str) and _MESSAGES.match(value) is not None
