"""Hashes of a pipeline's files, as manifests and as dvc.lock have them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from spa.dag import Tree
from spa.layout import Layout

_CHUNK = 2**22


class Digests:
    """SHA-256, MD5 and size of files, each read once; nothing is believed from file times."""

    def __init__(self, layout: Layout, tree: Tree) -> None:
        self._layout = layout
        self._tree = tree
        self._known: dict[str, tuple[str, str, int]] = {}
        self._bar: Any = None

    def read_all(self, files: set[str]) -> None:
        """Hash files at once, with a progress bar on a terminal."""
        size = sum((self._layout.root / file).stat().st_size for file in files)
        with tqdm(total=size, desc="hashing", unit="B", unit_scale=True, disable=None) as self._bar:
            for file in sorted(files):
                self._digest(file)
        self._bar = None

    def _digest(self, file: str) -> tuple[str, str, int]:
        if file not in self._known:
            sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
            with (self._layout.root / file).open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    sha256.update(chunk)
                    md5.update(chunk)
                    size += len(chunk)
                    if self._bar is not None:
                        self._bar.update(len(chunk))
            self._known[file] = sha256.hexdigest(), md5.hexdigest(), size
        return self._known[file]

    def sha256(self, file: str) -> str:
        return self._digest(file)[0]

    def dvc(self, path: str) -> dict[str, str | int]:
        """What dvc.lock has of a file or folder, empty where nothing is there.

        A folder's MD5 is that of the JSON list of its files' MD5s and names, with ".dir".
        """
        place = self._layout.root / path
        if place.is_file():
            _, md5, size = self._digest(path)
            return {"hash": "md5", "md5": md5, "size": size}
        if not place.is_dir():
            return {}
        files = list(self._tree.files(path))
        listed = [{"md5": self._digest(f)[1], "relpath": f[len(path) + 1 :]} for f in files]
        listed.sort(key=lambda entry: tuple(entry["relpath"].split("/")))
        text = json.dumps(listed, sort_keys=True)
        md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        size = sum(self._digest(file)[2] for file in files)
        return {"hash": "md5", "md5": f"{md5}.dir", "size": size, "nfiles": len(files)}


def locked(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a file's entry in dvc.lock that `Digests.dvc` computes."""
    return {key: entry[key] for key in ("hash", "md5", "size", "nfiles") if key in entry}
