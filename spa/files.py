"""Reading and writing files: whole or not at all, and never in place (Parquet: `spa.tables`).

Outputs are written beside their place and then renamed. DVC hard-links outputs to its
cache, so that writing into an existing file would damage the cache as well.
"""

import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spa.errors import ArtefactError
from spa.records import SCHEMA_VERSION

_ASIDE = "aside"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.ENOTDIR})
_OS_ERROR = re.compile(r"os error (\d+)")  # as libraries written in Rust say it


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` if the block succeeds.

    Raises:
        ArtefactError: the disk does not take it.
    """
    with _told(path):
        temporary = _temporary(path)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path`, in place of what lies there.

    Raises:
        ArtefactError: the disk does not take it.
    """
    with _told(path):
        temporary = _temporary(path)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            _exchange(path, temporary)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _exchange(path: Path, new: Path) -> None:
    """Put a folder in the place of another, which is deleted once the new one is there."""
    old = path.with_name(f".{path.name}.{_ASIDE}.{os.getpid()}.tmp")
    if path.exists():
        os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        if old.exists():
            os.replace(old, path)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in one line that a disk is full or closed to us, whichever library met it."""
    try:
        yield
    except Exception as error:
        number = _error_number(error)
        closed = number in _CLOSED and _is_near(path, getattr(error, "filename", None))
        if number not in (*_FULL, errno.EROFS) and not closed:
            raise
        advice = "make room" if number in _FULL else "make it writable"
        raise ArtefactError(
            f"{path}: cannot be written ({os.strerror(number)}); what was there before is "
            f"still there; {advice} and run the command again"
        ) from error


def _error_number(error: Exception) -> int:
    """The operating system's number of an error; 0 where it is of another kind."""
    found = _OS_ERROR.search(str(error))
    number = getattr(error, "errno", None)
    return int(number if number is not None else found[1] if found else 0)


def _is_near(path: Path, file: str | None) -> bool:
    """Whether a file that was refused is what `path` is made of, and not something read for it."""
    folder = path.parent.absolute()
    return file is not None and (
        folder.is_relative_to(Path(file).absolute()) or Path(file).absolute().parent == folder
    )


def _temporary(path: Path) -> Path:
    """Where this process prepares `path`; what killed processes left there is deleted.

    A folder that was moved aside, and nothing put in its place, is put back first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in sorted(path.parent.glob(f".{path.name}.*.tmp")):
        pid = left.name.split(".")[-2]
        if _lives(pid):
            continue
        if left.name == f".{path.name}.{_ASIDE}.{pid}.tmp" and not path.exists():
            os.replace(left, path)
        else:
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


def check_version(where: str, found: object) -> None:
    """Refuse a file of another schema version; one without any counts as version 1, the first.

    Raises:
        ArtefactError: says which way to migrate.
    """
    try:
        version = 1 if found is None else int(str(found))
    except ValueError:
        version = 0
    if version < SCHEMA_VERSION:
        raise ArtefactError(
            f"{where}: has schema_version {found}, of an older spa; wanted {SCHEMA_VERSION}; run "
            "`dvc repro` to make it again, or install the spa that made it"
        )
    if version > SCHEMA_VERSION:
        raise ArtefactError(
            f"{where}: has schema_version {found}, of a newer spa; wanted {SCHEMA_VERSION}; "
            "install the spa that made it, or run `dvc repro` to make it again"
        )


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys; equal values give equal bytes.

    Raises:
        ArtefactError: a number is infinite or none, which JSON has no word for; names its place.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    except ValueError as error:
        where = next(_not_finite(value), "") or str(error)
        raise ArtefactError(
            f"{path}: {where}; wanted finite numbers; look for what gives it in the rows that the "
            "stage reads"
        ) from error
    with replace_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _not_finite(value: Any, place: str = "") -> Iterator[str]:
    """What and where the numbers are that JSON cannot hold, rows counted from 1."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{place.removeprefix(', ')}: found {value}"
    items: Iterable[tuple[str, Any]] = ()
    if isinstance(value, Mapping):
        items = ((f"{place}, {key}", own) for key, own in value.items())
    elif isinstance(value, list | tuple):
        items = ((f"{place}, row {row}", own) for row, own in enumerate(value, 1))
    for name, own in items:
        yield from _not_finite(own, name)


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
