"""Text of bytes that should be UTF-8, so that wrong ones are named by their row and field."""

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any

from spa.importing.row import Fault, RowError

ERRORS = "surrogateescape"
"""How wrong bytes are decoded: to U+DC80..U+DCFF, which no UTF-8 gives."""

_WRONG = re.compile("[\udc80-\udcff]")


def decode(raw: bytes, *, first: bool) -> str:
    """Text of bytes, without a byte order mark where they begin the file."""
    return (raw.removeprefix(codecs.BOM_UTF8) if first else raw).decode("utf-8", ERRORS)


def is_utf8(text: str) -> bool:
    """Whether all bytes of a decoded text were UTF-8."""
    return _WRONG.search(text) is None


def wrong_field(fields: Mapping[str, Any]) -> str | None:
    """The first field that has wrong bytes."""
    for name, value in fields.items():
        if not is_utf8(json.dumps(value, ensure_ascii=False, default=str)):
            return name
    return None


def not_utf8(file: str, row: int, field: str | None) -> RowError:
    """The error of a row with wrong bytes."""
    found, advice = "found bytes that are not UTF-8", "save the file as UTF-8"
    return RowError([Fault(file, row, field, found, "text in UTF-8", advice)])
