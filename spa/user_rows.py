"""A user's own rows as Parquet, whatever their columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spa.files import replace_file


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
