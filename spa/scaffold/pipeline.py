"""Laying a pipeline out in a folder: all of its files at once, or none."""

import re
import shutil
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spa.code_lock import code_lists
from spa.errors import InputError, ParamsError, SpaError
from spa.files import replace_file
from spa.importing.pairs import Imported, read_pairs
from spa.layout import Layout
from spa.param_files import check_params
from spa.presets import OWN, Pin, open_pins, preset
from spa.scaffold.dag import user_dag
from spa.scaffold.own import sizes, with_values

_HUB = re.compile(r"[\w.-]+/[\w.-]+@(?:[0-9a-f]{40})?")
_FILES = Path(__file__).parent / "files"
_COPIED = {
    ".dvc/.gitignore": "dvc_gitignore",
    ".dvc/config": "dvc_config",
    "data/raw/README.md": "raw.md",
    "data/raw/annotations/README.md": "annotations.md",
    "rubric.py": "rubric.py",
}
_EXTENDED = {".gitignore": "gitignore", ".dvcignore": "dvcignore"}
_KEPT = frozenset({".dvc/.gitignore", ".dvc/config"})
"""What `dvc init` may have written already."""


@dataclass(frozen=True)
class Scaffold:
    """What was laid out.

    Attributes:
        layout: the new pipeline.
        written: its files, new or extended, as names relative to it.
        kept: files that were there and stay as they were.
        repository: whether a git repository was made.
        ignored: copies that git ignores, so that clones will lack them.
        pairs: what was read of the user's pairs, if a file was given.
        sizes: the numbers that were fitted to it, by key.
        open: commits that params.yaml leaves open.
    """

    layout: Layout
    written: list[str]
    kept: list[str]
    repository: bool
    ignored: list[str]
    pairs: Imported | None
    sizes: dict[str, int]
    open: list[Pin]


def lay_out(
    folder: Path, *, name: str = OWN, pairs: Path | None = None, model: str | None = None
) -> Scaffold:
    """Lay out a pipeline in a folder that may be new, empty or a repository of the user's.

    Args:
        folder: where dvc.yaml goes.
        name: of the preset that params.yaml is made of.
        pairs: a file of preference pairs, copied to data/raw.
        model: `base.source`.

    Raises:
        SpaError: files are in the way, git would ignore them, the pairs cannot be read, or the
            model is no source. Then nothing has been written.
    """
    layout = Layout(folder.resolve())
    read = _read(pairs) if pairs else None
    fitted = sizes(_prompts(read)) if read and name == OWN else {}
    values: dict[str, str | int] = dict(fitted)
    copies: dict[Path, Path] = {}
    if pairs:
        place = _place(layout, pairs)
        values["split.source"] = layout.show(place)
        copies = {} if place == pairs.resolve() else {place: pairs}
    if model:
        values["base.source"] = _source(layout, model)
    params, raw = _params(name, values)
    new, kept = _unopposed(layout, _contents(layout, params), copies)
    repository = not _in_git(layout.root)
    ignored = [] if repository else _ignored(layout, new, copies)
    for path, content in new.items():
        with replace_file(layout.root / path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    for place, source in copies.items():
        with replace_file(place) as temporary:
            shutil.copyfile(source, temporary)
    if repository:
        _git(layout.root, "init", "--quiet")
    written = sorted([*new, *map(layout.show, copies)])
    return Scaffold(layout, written, kept, repository, ignored, read, fitted, open_pins(raw))


def _read(pairs: Path) -> Imported:
    if not pairs.is_file():
        raise InputError(f"{pairs}: not found; wanted a file of preference pairs; mend --pairs")
    return read_pairs(pairs.name, pairs.resolve().parent)


def _prompts(read: Imported) -> int:
    return len({pair.prompt_id for pair in read.pairs})


def _place(layout: Layout, pairs: Path) -> Path:
    """Where the pairs lie in the pipeline: where they are, if that is data/raw, or a copy there."""
    own = pairs.resolve()
    return own if own.is_relative_to(layout.raw) else layout.raw / pairs.name


def _source(layout: Layout, model: str) -> str:
    """`base.source` for a model named from where the command was called."""
    if Path(model).is_dir():
        return layout.show(Path(model).resolve())
    if _HUB.fullmatch(model) or model.startswith("wheel:"):
        return model
    raise ParamsError(
        f"--model: found {model!r}; wanted a folder, org/name@commit (or org/name@, whose commit "
        "is then asked for) or wheel:name==version#sha256=..."
    )


def _params(name: str, values: Mapping[str, str | int]) -> tuple[str, Any]:
    text = with_values(preset(name).text, values)
    raw = yaml.safe_load(text)
    faults = check_params(raw)[1]
    if faults:
        raise ParamsError(f"params.yaml: {'; '.join(faults)}")
    return text, raw


def _contents(layout: Layout, params: str) -> dict[str, str]:
    """Every file of a new pipeline but the pairs, by its name."""
    shipped = {**_COPIED, **_EXTENDED}
    files = {path: (_FILES / name).read_text(encoding="utf-8") for path, name in shipped.items()}
    files |= {layout.show(layout.code_of(stage)): text for stage, text in code_lists().items()}
    return files | {"dvc.yaml": user_dag(layout), "params.yaml": params}


def _unopposed(
    layout: Layout, files: Mapping[str, str], copies: Collection[Path]
) -> tuple[dict[str, str], list[str]]:
    """What to write, ignore files with what they have already, and what stays as it is."""
    there = [path for path in files if (layout.root / path).exists()]
    opposed = [path for path in there if path not in {*_KEPT, *_EXTENDED}]
    opposed += [layout.show(place) for place in copies if place.exists()]
    if layout.root.exists() and not layout.root.is_dir():
        raise ParamsError(f"{layout.root}: is a file; wanted a folder to lay a pipeline out in")
    if opposed:
        raise ParamsError(
            f"{layout.root}: found {', '.join(_shown(layout, opposed))}; wanted a folder without; "
            "nothing was written; take another folder, or move them away"
        )
    new = {path: text for path, text in files.items() if path not in there}
    for path in _EXTENDED.keys() & set(there):
        before = _text(layout.root / path)
        missing = [line for line in files[path].splitlines() if line not in before.splitlines()]
        if missing:
            end = "" if before.endswith("\n") or not before else "\n"
            new[path] = before + end + "".join(f"{line}\n" for line in missing)
    return new, sorted(path for path in there if path not in new)


def _text(file: Path) -> str:
    """A file that git and DVC read; DVC takes UTF-8 alone."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ParamsError(
            f"{file}: is not UTF-8 ({error}); nothing was written; save it as UTF-8"
        ) from error


def _shown(layout: Layout, paths: Collection[str]) -> list[str]:
    """Files by name, the lists of code as their folder."""
    code = layout.show(layout.code)
    return sorted({code if path.startswith(f"{code}/") else path for path in paths})


def _ignored(layout: Layout, files: Collection[str], copies: Collection[Path]) -> list[str]:
    """The copies that git ignores; DVC reads no file of the pipeline's own that it ignores."""
    paths = [*(str(layout.root / path) for path in files), *map(str, copies)]
    asked = "\0".join(paths)
    done = _git(_existing(layout.root), "check-ignore", "--stdin", "-z", check=False, stdin=asked)
    hidden = [layout.show(Path(path)) for path in done.stdout.split("\0") if path]
    own = _shown(layout, set(files) & set(hidden))
    if own:
        raise ParamsError(
            f"{layout.root}: git ignores {', '.join(own)}; wanted them in git; nothing was "
            f"written; mend .gitignore (`git check-ignore -v {own[0]}` names the line) or take "
            "another folder"
        )
    return hidden


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _in_git(folder: Path) -> bool:
    done = _git(_existing(folder), "rev-parse", "--is-inside-work-tree", check=False)
    return done.returncode == 0


def _git(
    folder: Path, *arguments: str, check: bool = True, stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise SpaError("git: not found; DVC versions files beside git; install it") from error
    if check and done.returncode:
        raise SpaError(f"{folder}: git {arguments[0]} failed ({' '.join(done.stderr.split())})")
    return done
