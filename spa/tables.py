"""Parquet: records of one kind in, the same records out; equal records give equal bytes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from spa.errors import ArtefactError
from spa.files import check_version, replace_file
from spa.records import SCHEMA_VERSION, Record

R = TypeVar("R", bound=Record)
_VERSION = b"spa.schema_version"


def write_table(
    path: Path, records: Iterable[R], kind: type[R], *, note: Mapping[str, float] | None = None
) -> int:
    """Write records as Parquet; equal records give equal bytes. Returns the row count.

    Args:
        path: the file.
        records: its rows.
        kind: of the rows.
        note: numbers about the file as a whole, which `read_note` gives back.
    """
    rows = list(records)
    metadata = {f"spa.{name}": repr(number) for name, number in (note or {}).items()}
    schema = kind.SCHEMA.with_metadata(metadata | {_VERSION.decode(): str(SCHEMA_VERSION)})
    columns = {name: [getattr(row, name) for row in rows] for name in schema.names}
    table = pa.Table.from_pydict(columns, schema=schema)
    with replace_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    return len(rows)


def read_note(path: Path, name: str) -> float | None:
    """A number about a Parquet file as a whole; None where the file tells none.

    Raises:
        ArtefactError: the file is missing or is no Parquet.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise ArtefactError(f"{path}: cannot be read as Parquet ({error})") from error
    found = metadata.get(f"spa.{name}".encode())
    return None if found is None else float(found)


def read_table(path: Path, kind: type[R]) -> list[R]:
    """Read records of one kind; columns beyond its schema are ignored.

    Raises:
        ArtefactError: the file is missing, is no Parquet, lacks a column or has another schema
            version.
    """
    return [kind(**row) for row in read_columns(path, kind).to_pylist()]


def read_columns(path: Path, kind: type[Record]) -> pa.Table:
    """Read the columns of one kind of record as they are, for work on all rows at once.

    Raises:
        ArtefactError: as `read_table`.
    """
    try:
        table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise ArtefactError(
            f"{path}: not found; wanted a Parquet file of {kind.__name__} rows; "
            "run `dvc repro` so that the stage that writes it runs first"
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise ArtefactError(
            f"{path}: cannot be read as Parquet ({error}); delete it and run `dvc repro`"
        ) from error
    version = (table.schema.metadata or {}).get(_VERSION)
    check_version(str(path), None if version is None else version.decode())
    missing = [name for name in kind.SCHEMA.names if name not in table.column_names]
    if missing:
        raise ArtefactError(
            f"{path}: has no column {missing[0]!r}; found {table.column_names}; "
            f"wanted {kind.SCHEMA.names}"
        )
    found = table.select(kind.SCHEMA.names)
    for ours, own in zip(kind.SCHEMA, found.schema, strict=True):
        if ours.type != own.type:  # Arrow's cast fills a struct's missing fields with nulls
            raise ArtefactError(
                f"{path}: column {own.name!r} is {own.type}; wanted {ours.type}; delete the file "
                "and run `dvc repro`"
            )
    return found.cast(kind.SCHEMA)
