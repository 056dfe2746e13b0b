"""Which files and datasets can be read, and their rows in order.

JSON Lines, JSON, CSV, Parquet (each also gzipped), a folder of such files, or a Hub dataset
with its commit pinned.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from spa.errors import InputError
from spa.importing.csv_rows import csv_rows
from spa.importing.json_rows import json_lines, json_list
from spa.importing.parquet_rows import parquet_rows
from spa.importing.row import Fault, Row, RowError

Reader = Callable[[IO[bytes], str], Iterator[Row | RowError]]

_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})(#(?P<split>[\w.-]+))?")
_OPEN = re.compile(r"[\w.-]+/[\w.-]+@")
_KINDS: dict[str, tuple[str, Reader]] = {
    ".jsonl": ("JSON Lines", json_lines),
    ".json": ("JSON", json_list),
    ".csv": ("CSV", csv_rows),
    ".parquet": ("Parquet", parquet_rows),
}
_SUFFIXES = tuple(f"{suffix}{packed}" for suffix in _KINDS for packed in ("", ".gz"))
_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_rows(source: str, root: Path) -> Iterator[Row]:
    """Read the rows of a source, in order.

    Args:
        source: a file or folder relative to `root`, or `org/name@commit` on the Hub,
            of which `#split` is read in place of its split `train`.
        root: the folder that `source` is relative to.

    Raises:
        InputError: the source is not there or cannot be read; names file and row.
    """
    for item in scan_rows(source, root):
        if isinstance(item, RowError):
            raise item
        yield item


def scan_rows(source: str, root: Path) -> Iterator[Row | RowError]:
    """Read the rows of a source, in order, and go on after those that cannot be read.

    A row that cannot be read, or the end of a damaged file, is given as the error it is.

    Args:
        source: as for `read_rows`.
        root: as for `read_rows`.

    Raises:
        InputError: the source is not there, or has files of other kinds.
    """
    place = root / source
    if place.exists():
        for file in _files(place, source):
            name = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
            yield from _scan_file(file, name)
    elif hub := _HUB.fullmatch(source):
        yield from _hub_rows(hub["name"], hub["revision"], hub["split"] or "train")
    elif _OPEN.fullmatch(source):
        raise InputError(
            f"{source}: its commit is open; wanted org/name@40 hex digits; run `spa preset "
            "--resolve`, which asks the Hub for it"
        )
    else:
        raise InputError(
            f"{source}: not found; wanted a file or folder below the pipeline's, or a Hub dataset "
            "with its commit, org/name@40 hex digits (and #split); mend its name"
        )


def refuse_links(source: str, root: Path) -> None:
    """Let a source below `root` be what it seems: no link leads out of there.

    DVC would keep the link's name and not what it leads to, which others may change or not have.

    Raises:
        InputError: names the link.
    """
    place, inside = root / source, root.resolve()
    if not place.exists() or Path(source).is_absolute() or ".." in Path(source).parts:
        return
    for file in [place, *place.rglob("*")]:
        if not file.resolve().is_relative_to(inside):
            name = file.relative_to(root)
            raise InputError(
                f"{name}: is or lies behind a link to {file.resolve()}, outside the pipeline's "
                "folder; wanted the file itself; copy it there"
            )


def file_kinds(source: str, root: Path) -> list[str]:
    """The kinds of files that a source has, as people call them: `JSON Lines, gzip`.

    Raises:
        InputError: as `scan_rows`.
    """
    place = root / source
    if not place.exists():
        return ["Hub dataset"]
    kinds = (_kind(file)[0] + (", gzip" if _packed(file) else "") for file in _files(place, source))
    return sorted(set(kinds))


def _files(place: Path, source: str) -> list[Path]:
    files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    wrong = [file for file in files if not file.name.endswith(_SUFFIXES)]
    if wrong or not files:
        found = wrong[0].name if wrong else "no file"
        raise InputError(f"{source}: found {found}; wanted files ending in {', '.join(_SUFFIXES)}")
    return files


def _kind(file: Path) -> tuple[str, Reader]:
    return _KINDS[Path(file.name.removesuffix(".gz")).suffix]


def _packed(file: Path) -> bool:
    """Whether a file is gzipped: by its name, or by its first bytes where the name is silent."""
    with file.open("rb") as stream:
        return file.suffix == ".gz" or stream.read(2) == _GZIP


def _open(file: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file)) if _packed(file) else file.open("rb")


def _scan_file(file: Path, name: str) -> Iterator[Row | RowError]:
    reader, number = _kind(file)[1], 0
    try:
        with _open(file) as stream:
            if reader is not parquet_rows and stream.read(2) in _UTF16:
                yield _damaged(name, None, "found UTF-16", "text in UTF-8", "save it as UTF-8")
                return
            stream.seek(0)
            for item in reader(stream, name):
                number = item.number if isinstance(item, Row) else item.faults[0].row or number
                yield item
    except (OSError, EOFError, zlib.error) as error:
        what = f"cannot be read ({' '.join(str(error).split())})"
        yield _damaged(name, number + 1, what, "a whole file", "fetch or write it again")


def _damaged(name: str, row: int | None, found: str, wanted: str, advice: str) -> RowError:
    return RowError([Fault(name, row, None, found, wanted, advice)])


def _hub_rows(name: str, revision: str, split: str) -> Iterator[Row]:
    from datasets import load_dataset

    try:
        dataset = load_dataset(name, revision=revision, split=split)
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(
            f"{name}@{revision}#{split}: cannot be fetched from the Hub ({text})"
        ) from error
    for number, fields in enumerate(dataset, 1):
        yield Row(f"{name}@{revision[:8]}", number, dict(fields))
