"""Rows of JSON Lines and of JSON lists, each read for itself."""

import io
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from spa.importing.row import Fault, Row, RowError
from spa.importing.utf8 import decode, is_utf8, not_utf8, wrong_field

_BLANKS = re.compile(r"[ \t\r\n]*")


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are there once: of two, Python would keep the last without a word."""
    found = dict(items)
    if len(found) < len(items):
        keys = [key for key, _ in items]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} stands twice in one object")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_once)


def json_lines(stream: IO[bytes], name: str) -> Iterator[Row | RowError]:
    """One object a line; blank lines are skipped and counted, every line end is known.

    Args:
        stream: the file's bytes.
        name: the file's name, for errors.

    Returns:
        Rows, and errors in place of those that cannot be read, numbered by line from 1.
    """
    number = 0
    for chunk in stream:
        for line in chunk.splitlines():  # at \n, \r\n and \r, which no JSON string may hold
            number += 1
            text = decode(line, first=number == 1)
            if text.strip():
                yield _line(text, name, number)


def json_list(stream: IO[bytes], name: str) -> Iterator[Row | RowError]:
    """The objects of one list; a file of JSON Lines that is named .json is read as such.

    Args:
        stream: the file's bytes.
        name: the file's name, for errors.

    Returns:
        Rows, and errors in place of those that cannot be read, numbered by item from 1. What
        follows the first item that is no JSON cannot be read.
    """
    raw = stream.read()
    text = decode(raw, first=True)
    if text.lstrip().startswith("["):
        yield from _items(text, name)
    elif _is_object(text.lstrip().splitlines()):
        yield from json_lines(io.BytesIO(raw), name)
    else:
        kind = "an object" if text.lstrip().startswith("{") else "no list"
        yield RowError(
            [Fault(name, None, None, f"is not JSON rows, found {kind}", "a list of rows")]
        )


def _is_object(lines: list[str]) -> bool:
    try:
        return bool(lines) and isinstance(json.loads(lines[0]), dict)
    except (ValueError, RecursionError):
        return False


def _line(text: str, name: str, number: int) -> Row | RowError:
    try:
        return _row(_DECODER.decode(text), text, name, number)
    except (ValueError, RecursionError) as error:
        return _broken(error, text, name, number)


def _items(text: str, name: str) -> Iterator[Row | RowError]:
    number, at = 0, _skip(text, text.index("[") + 1)
    mark = text[at : at + 1]
    while mark != "]":
        number += 1
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield _broken(error, text[at:], name, number)
            return
        yield _row(value, text[at:end], name, number)
        at = _skip(text, end)
        mark = text[at : at + 1]
        if mark not in ("]", ","):
            yield _broken(json.JSONDecodeError("Expecting , or ]", text, at), "", name, number + 1)
            return
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def _row(value: Any, text: str, name: str, number: int) -> Row | RowError:
    if not isinstance(value, dict):
        found = f"found {type(value).__name__}"
        return RowError([Fault(name, number, None, found, "an object with fields")])
    if not is_utf8(text):
        return not_utf8(name, number, wrong_field(value))
    return Row(name, number, value)


def _broken(error: Exception, text: str, name: str, number: int) -> RowError:
    if not is_utf8(text):
        return not_utf8(name, number, None)
    return RowError([Fault(name, number, None, f"is not JSON ({error})", "a whole JSON object")])
