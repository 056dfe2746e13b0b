"""The code of every stage as small files of the pipeline, where the code itself lies elsewhere.

In this project's own repository dvc.yaml names the code files that a stage depends on. In a
user's repository there are none: there each stage depends on `data/code/STAGE.sha256`, which lists
the hashes of those same files in the installed package. `spa lock` writes the lists anew; a stage
whose list changed runs again, and no stage runs other code than the lists say.
"""

from collections.abc import Iterator
from pathlib import Path

import yaml

from spa.errors import ArtefactError
from spa.files import hash_file, replace_file
from spa.layout import Layout

SHIPPED = Path(__file__).parent / "scaffold" / "pipeline.yaml"
"""The pipeline as the package ships it: a copy of the repository's dvc.yaml."""
CODE = ("spa/", "stages/")
"""How dvc.yaml's dependencies on code begin."""
_PACKAGES = Path(__file__).parents[1]


def code_lists() -> dict[str, str]:
    """For every stage of dvc.yaml the code it depends on: one line a file, hash and name."""
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["stages"]
    hashes: dict[str, str] = {}
    lists = {}
    for name, body in shipped.items():
        deps = (dep for dep in body.get("do", body)["deps"] if dep.startswith(CODE))
        files = sorted(file for dep in deps for file in _files(dep))
        for file in files:
            hashes[file] = hashes.get(file) or hash_file(_PACKAGES / file)
        lists[name] = "".join(f"{hashes[file]}  {file}\n" for file in files)
    return lists


def _files(dep: str) -> Iterator[str]:
    place = _PACKAGES / dep
    for file in place.rglob("*") if place.is_dir() else [place]:
        if file.is_file() and "__pycache__" not in file.parts:
            yield file.relative_to(_PACKAGES).as_posix()


def stale_code(layout: Layout) -> list[str]:
    """Stages whose list is not of the installed code; none where dvc.yaml names code itself."""
    if not layout.code.is_dir():
        return []
    return [name for name, text in code_lists().items() if _read(layout.code_of(name)) != text]


def check_code(layout: Layout) -> None:
    """Refuse to run other code than the lists say.

    Raises:
        ArtefactError: the installed code is another.
    """
    if stale := stale_code(layout):
        raise ArtefactError(
            f"{layout.show(layout.code)}: the installed spa has other code than listed there "
            f"({', '.join(stale)}); wanted one, or results would be mixed; run `spa lock`, then "
            "`dvc repro`"
        )


def write_code(layout: Layout) -> list[str]:
    """List the installed code. Returns the stages whose list changed."""
    lists, stale = code_lists(), []
    for name, text in lists.items():
        file = layout.code_of(name)
        if _read(file) != text:
            stale.append(name)
            with replace_file(file) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return stale


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
