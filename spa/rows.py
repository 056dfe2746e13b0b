"""Rows of the files and datasets that people have, each knowing where it stands.

JSON Lines, JSON, Parquet (each also gzipped, but Parquet), a folder of such files, or a Hub
dataset with its commit pinned.
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from spa.errors import InputError

_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")
_SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".parquet")


@dataclass(frozen=True)
class Row:
    """A row and where it stands; `fail` raises the one error that bad rows get."""

    file: str
    number: int
    fields: dict[str, Any]

    def fail(self, field: str, found: str, wanted: str) -> NoReturn:
        raise InputError(
            f"{self.file}, row {self.number}, field '{field}': {found}; wanted {wanted}; "
            "mend the row or take it out"
        )


def read_rows(source: str, root: Path) -> Iterator[Row]:
    """Read the rows of a source, in order.

    Args:
        source: a file or folder relative to `root`, or `org/name@commit` on the Hub.
        root: the pipeline's folder.

    Raises:
        InputError: the source is not there or cannot be read; names file and row.
    """
    place = root / source
    if place.exists():
        for file in _files(place, source):
            name = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
            yield from _file_rows(file, name)
    elif hub := _HUB.fullmatch(source):
        yield from _hub_rows(hub["name"], hub["revision"])
    else:
        raise InputError(
            f"{source}: not found; wanted a file or folder below the pipeline's, or a Hub dataset "
            "with its commit, org/name@40 hex digits; mend its name"
        )


def _files(place: Path, source: str) -> list[Path]:
    files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    wrong = [file for file in files if not file.name.endswith(_SUFFIXES)]
    if wrong or not files:
        found = wrong[0].name if wrong else "no file"
        raise InputError(f"{source}: found {found}; wanted files ending in {', '.join(_SUFFIXES)}")
    return files


def _file_rows(file: Path, name: str) -> Iterator[Row]:
    if file.suffix == ".parquet":
        try:
            table = pq.read_table(file, partitioning=None)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{name}: cannot be read as Parquet ({error})") from error
        for number, fields in enumerate(table.to_pylist(), 1):
            yield Row(name, number, {k: v for k, v in fields.items() if v is not None})
        return
    text = _text(file, name)
    if ".jsonl" not in file.name:
        values = _parse(text, name, 1)
        if not isinstance(values, list):
            raise InputError(f"{name}: found {type(values).__name__}; wanted a list of rows")
        numbered = list(enumerate(values, 1))
    else:
        lines = enumerate(text.split("\n"), 1)
        numbered = [(n, _parse(line, name, n)) for n, line in lines if line.strip()]
    for number, value in numbered:
        if not isinstance(value, dict):
            raise InputError(
                f"{name}, row {number}: found {type(value).__name__}; wanted an object with fields"
            )
        yield Row(name, number, value)


def _text(file: Path, name: str) -> str:
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError) as error:
        raise InputError(f"{name}: cannot be read ({error})") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"{name}, row {number}: found bytes that are not UTF-8; save the file as UTF-8"
        ) from error


def _parse(text: str, name: str, number: int) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{name}, row {number}: is not JSON ({error}); mend the row") from error


def _hub_rows(name: str, revision: str) -> Iterator[Row]:
    from datasets import load_dataset

    try:
        dataset = load_dataset(name, revision=revision, split="train")
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(f"{name}@{revision}: cannot be fetched from the Hub ({text})") from error
    for number, fields in enumerate(dataset, 1):
        yield Row(f"{name}@{revision[:8]}", number, dict(fields))
