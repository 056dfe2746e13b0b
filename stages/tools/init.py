"""Tool `init`: a pipeline in a repository of your own."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spa.scaffold import Scaffold

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder for the pipeline; created if missing.")
]
Pairs = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Preference pairs; copied to data/raw and entered in params."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="base.source: a folder, org/name@commit (org/name@: resolved later) or a wheel.",
    ),
]
Preset = Annotated[
    str, typer.Option(metavar="NAME", help="The preset that params.yaml starts from.")
]


def main(folder: Folder, pairs: Pairs = None, model: Model = None, preset: Preset = "own") -> None:
    """Create a pipeline: dvc.yaml, params.yaml, data/raw and what git and DVC need.

    The code stays in the installed package; data/code lists its hashes, stage by stage, so that
    another version reruns what it changes (`spa lock`). --pairs fits the numbers of preset `own`
    to the file. Nothing is overwritten: if a file is in the way, or git would ignore a new one,
    nothing is written. `.gitignore` and `.dvcignore` get the lines that they lack.
    """
    from spa.scaffold import lay_out

    made = lay_out(folder, name=preset, pairs=pairs, model=model)
    print("\n".join([*report(made), "", "Next:", *(f"  {one}" for one in following(made, folder))]))


def report(made: "Scaffold") -> list[str]:
    """What was written, and the numbers that were chosen."""
    layout = made.layout
    lists = layout.show(layout.code)
    names = [name for name in made.written if not name.startswith(f"{lists}/")]
    lines = [f"init: {layout.root}: wrote {', '.join(names)} and {lists}/"]
    if made.kept:
        lines.append(f"init: already there and kept: {', '.join(made.kept)}")
    if made.repository:
        lines.append("init: made a git repository")
    if made.ignored:
        lines.append(f"init: git ignores {', '.join(made.ignored)}: clones will lack it")
    if made.pairs:
        lines.append(f"init: {made.pairs.summary('pairs')}")
    if made.sizes:
        chosen = ", ".join(f"{key} {value}" for key, value in made.sizes.items())
        lines.append(f"init: params.yaml is fitted to them: {chosen}")
    lines += [f"init: {pin.key} is {pin.source}, with no commit yet" for pin in made.open]
    return lines


def following(made: "Scaffold", folder: Path) -> list[str]:
    """The next three commands."""
    away = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    pin = ["spa preset --resolve"] if made.open else []
    last = ["spa doctor", "spa plan", "dvc repro"] if not (away or pin) else ["spa doctor"]
    return [*away, *pin, *last, "dvc repro"][:3]
