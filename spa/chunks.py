"""Finished chunks of a stage that has not ended: after a kill it goes on where it stopped.

A chunk is found again by a hash of all that it follows from: the code, the libraries, the
machine's settings, the model, and the work itself. So work whose inputs changed is never taken
for finished, and an undisturbed run and one killed anywhere end with equal bytes. The folder
of a stage is deleted when the stage succeeds.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

from spa.files import hash_file, replace_file
from spa.records import content_hash

T = TypeVar("T")


class Keep(Protocol):
    """Gives a chunk of work that was done before, or does it and keeps it."""

    def __call__(self, work: Any, make: Callable[[], T]) -> T:
        """What `make` returns, which must survive JSON unchanged; `work` names it."""
        ...


def anew(work: Any, make: Callable[[], T]) -> T:
    """Does the work and keeps nothing."""
    return make()


class Chunks:
    """The finished chunks of one stage."""

    def __init__(self, folder: Path, *identity: Any) -> None:
        """Keep chunks in `folder`; `identity` (JSON) is what all of them follow from."""
        self.folder = folder
        self._identity = identity

    def under(self, *identity: Any) -> "Chunks":
        """The same folder, for chunks that follow from something more, such as a model."""
        return Chunks(self.folder, *self._identity, *identity)

    def name(self, work: Any) -> str:
        """The hash that `work` is found again by."""
        return content_hash(self._identity, work)

    def __call__(self, work: Any, make: Callable[[], T]) -> T:
        """See `Keep`. A chunk that does not match its own hash is made anew, with a word."""
        file = self.folder / f"{self.name(work)}.json"
        if file.exists():
            digest, _, text = file.read_bytes().partition(b"\n")
            if hashlib.sha256(text).hexdigest().encode() == digest:
                found: T = json.loads(text)
                return found
            print(f"{file}: does not match its hash; it is made anew", file=sys.stderr)
        value = make()
        text = json.dumps(value).encode()
        with replace_file(file) as temporary:
            temporary.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
        return value

    def clear(self) -> None:
        """Delete what is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def surroundings() -> tuple[str, ...]:
    """What every computed number follows from beside its inputs: this code and its libraries."""
    package = Path(__file__).parent
    files = sorted(package.rglob("*.py"))
    code = content_hash([[str(f.relative_to(package)), hash_file(f)] for f in files])
    return (code, *(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy")))
