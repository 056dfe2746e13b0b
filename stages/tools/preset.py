"""Tool `preset`: a ready params.yaml."""

from typing import Annotated

import typer

Name = Annotated[str | None, typer.Argument(help="A preset; without one they are listed.")]
List = Annotated[bool, typer.Option("--list", help="List the presets.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite another params.yaml.")]
Resolve = Annotated[
    bool,
    typer.Option(
        "--resolve",
        help="Ask the Hub for every commit that is open (org/name@) and write it into params.yaml.",
    ),
]


def main(
    name: Name = None, as_list: List = False, force: Force = False, resolve: Resolve = False
) -> None:
    """Write a ready params.yaml into the pipeline around, or into this folder.

    Without a name, list the presets. A params.yaml of your own is overwritten only with --force,
    an unedited preset at once.
    With --resolve alone, the params.yaml that is there gets the commits that it leaves open.
    """
    import yaml

    from spa.layout import Layout
    from spa.param_files import read_params
    from spa.presets import ask_hub, open_pins, preset, presets, resolve_pins, write_preset

    layout = Layout.near()
    if as_list or (name is None and not resolve):
        found = presets()
        width = max(len(one.name) for one in found)
        print("\n".join(f"{one.name:<{width}}  {one.about}" for one in found))
        return
    if name is not None:
        written = write_preset(layout, preset(name), force=force)
        shown = ", ".join(layout.show(path) for path in written)
        print(f"preset: wrote {shown}" if shown else f"preset: params.yaml is {name} already")
        if not layout.dvc_yaml.exists():
            print(f"preset: no pipeline is here: `spa init DIR --preset {name}` makes one with it")
    raw = read_params(layout.params)[0]
    pins = open_pins(raw)
    if not resolve:
        for pin in pins:
            print(f"preset: {pin.key} is {pin.source}, its commit open: `spa preset --resolve`")
        return
    from spa.files import replace_file

    text = resolve_pins(layout.params.read_text(encoding="utf-8"), pins, ask_hub)
    with replace_file(layout.params) as temporary:
        temporary.write_text(text, encoding="utf-8")
    for pin in pins:
        section, key = pin.key.split(".")
        print(f"preset: {pin.key} is now {yaml.safe_load(text)[section][key]}")
    if not pins:
        print("preset: no commit is open in params.yaml")
