"""Rows of Parquet."""

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from spa.importing.row import Fault, Row, RowError
from spa.importing.utf8 import not_utf8


def parquet_rows(stream: IO[bytes], name: str) -> Iterator[Row | RowError]:
    """One row a row.

    Args:
        stream: the file's bytes.
        name: the file's name, for errors.

    Returns:
        Rows, and errors in place of those that cannot be read, numbered from 1.
    """
    number = 0
    try:
        for batch in pq.ParquetFile(pa.BufferReader(stream.read())).iter_batches():
            for at in range(batch.num_rows):
                number += 1
                yield _row(batch, at, name, number)
    except (pa.ArrowException, OSError) as error:
        found = f"cannot be read as Parquet ({' '.join(str(error).split())})"
        row = number + 1 if number else None
        yield RowError([Fault(name, row, None, found, "a whole file", "fetch or write it again")])


def _row(batch: Any, at: int, name: str, number: int) -> Row | RowError:
    fields: dict[str, Any] = {}
    for column, values in zip(batch.schema.names, batch.columns, strict=True):
        try:
            fields[column] = values[at].as_py()
        except UnicodeDecodeError:
            return not_utf8(name, number, column)
    return Row(name, number, fields)
