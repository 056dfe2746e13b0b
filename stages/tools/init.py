"""Tool `init`: a pipeline in a repository of one's own."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spa.scaffold import Scaffold

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder for the pipeline; made where it is not there.")
]
Pairs = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Preference pairs: copied to data/raw and named in params."),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="base.source: a folder, org/name@commit (org/name@: asked for later) or a wheel.",
    ),
]
Preset = Annotated[
    str, typer.Option(metavar="NAME", help="The preset that params.yaml is made of.")
]


def main(folder: Folder, pairs: Pairs = None, model: Model = None, preset: Preset = "own") -> None:
    """Lay out a pipeline: dvc.yaml, params.yaml, data/raw and what git and DVC need.

    The code stays in the installed package; data/code lists its hashes, stage by stage, so that
    another version runs again what it changes (`spa lock`). With --pairs the numbers of preset
    `own` are fitted to the file. Nothing is overwritten: where a file is in the way, nothing is
    written, nor where git would ignore what is. `.gitignore` and `.dvcignore` get the lines that
    they lack.
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
        lines.append(f"init: {', '.join(made.kept)} were there and stay as they are")
    if made.repository:
        lines.append("init: made a git repository")
    if made.ignored:
        lines.append(f"init: git ignores {', '.join(made.ignored)}: a clone will be without")
    if made.pairs:
        lines.append(f"init: {made.pairs.summary('pairs')}")
    if made.sizes:
        chosen = ", ".join(f"{key} {value}" for key, value in made.sizes.items())
        lines.append(f"init: params.yaml, fitted to them: {chosen}")
    lines += [f"init: {pin.key} is {pin.source}, its commit open" for pin in made.open]
    return lines


def following(made: "Scaffold", folder: Path) -> list[str]:
    """The next three commands."""
    away = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    pin = ["spa preset --resolve"] if made.open else []
    last = ["spa doctor", "spa plan", "dvc repro"] if not (away or pin) else ["spa doctor"]
    return [*away, *pin, *last, "dvc repro"][:3]
