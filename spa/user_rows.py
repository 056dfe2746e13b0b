"""A user's own rows as Parquet, whatever their columns."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spa.errors import InputError
from spa.files import replace_file


def check_place(path: Path, source: Path) -> None:
    """Refuse a place that `write_rows` cannot write to, before hours go into the rows.

    Args:
        path: where they shall go; folders that are missing above it are made.
        source: the file that they are read from, which must not be lost.

    Raises:
        InputError: says why.
    """
    found = ""
    try:
        if path.exists() and not path.is_file():
            found = "is no regular file"
        elif path.exists() and source.exists() and path.samefile(source):
            found = "is the file that the rows are read from"
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = f".{path.name}."
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=beside, suffix=".tmp"):
                pass
    except OSError as error:
        found = f"cannot be written ({error.strerror})"
    if found:
        raise InputError(f"{path}: {found}; wanted a file to write; choose another place")


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Write rows in order.

    Returns:
        The columns left out: no one type of Parquet's holds all their values, or their name.
    """
    columns, left = {}, []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
            pq.write_table(pa.table({name: columns[name]}), pa.BufferOutputStream())
        except (pa.ArrowException, OverflowError, UnicodeError):
            columns.pop(name, None)
            left.append(name)
    with replace_file(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")
    return left
