"""Reading and writing files: whole or not at all, typed, and never in place.

Outputs are written beside their place and then renamed. DVC hard-links outputs to its
cache, so that writing into an existing file would damage the cache as well.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from spa.errors import ArtefactError
from spa.records import Record

R = TypeVar("R", bound=Record)


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` if the block succeeds."""
    temporary = _temporary(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path`, in place of what lies there."""
    temporary = _temporary(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path) -> Path:
    """Where this process prepares `path`; what killed processes left there is deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        if not _lives(left.name.split(".")[-2]):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def write_table(path: Path, records: Iterable[R], kind: type[R]) -> int:
    """Write records as Parquet; equal records give equal bytes. Returns the row count."""
    rows = [record.row() for record in records]
    table = pa.Table.from_pylist(rows, schema=kind.SCHEMA)
    with replace_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return len(rows)


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Write a user's rows as Parquet, in order, whatever their columns.

    Returns:
        The columns left out because no one Arrow type holds all their values.
    """
    columns, left = {}, []
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            columns[name] = pa.array([row.get(name) for row in rows])
        except pa.ArrowException:
            left.append(name)
    with replace_file(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")
    return left


def read_table(path: Path, kind: type[R]) -> list[R]:
    """Read records of one kind; columns beyond its schema are ignored.

    Raises:
        ArtefactError: the file is missing, is no Parquet or lacks a column.
    """
    try:
        table = pq.read_table(path, partitioning=None)
    except FileNotFoundError as error:
        raise ArtefactError(
            f"{path}: not found; wanted a Parquet file of {kind.__name__} rows; "
            "run `dvc repro` so that the stage that writes it runs first"
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise ArtefactError(
            f"{path}: cannot be read as Parquet ({error}); delete it and run `dvc repro`"
        ) from error
    missing = [name for name in kind.SCHEMA.names if name not in table.column_names]
    if missing:
        raise ArtefactError(
            f"{path}: has no column {missing[0]!r}; found {table.column_names}; "
            f"wanted {kind.SCHEMA.names}"
        )
    rows = table.select(kind.SCHEMA.names).cast(kind.SCHEMA).to_pylist()
    return [kind(**row) for row in rows]


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys; equal values give equal bytes."""
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    with replace_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        ArtefactError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtefactError(f"{path}: not found; run `dvc repro` to make it") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtefactError(
            f"{path}: is not JSON ({error}); delete it and run `dvc repro`"
        ) from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_folder(path: Path) -> str:
    """SHA-256 over names and bytes of all files below a folder, in hex."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{hash_file(file)}\n".encode())
    return digest.hexdigest()
