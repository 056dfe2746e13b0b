"""Tool `preset`: a ready params.yaml."""

from typing import Annotated

import typer

Name = Annotated[str | None, typer.Argument(help="A preset; if omitted, all are listed.")]
List = Annotated[bool, typer.Option("--list", help="List the presets.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a different params.yaml.")]
Resolve = Annotated[
    bool,
    typer.Option(
        "--resolve",
        help="Ask the Hub for each missing commit (org/name@) and write it into params.yaml.",
    ),
]


def main(
    name: Name = None, as_list: List = False, force: Force = False, resolve: Resolve = False
) -> None:
    """Write a ready-made params.yaml into the current pipeline, or else into this folder.

    Without a name, list the presets. A params.yaml of your own is overwritten only with --force;
    an unedited preset always is. --resolve alone adds the commits that the existing params.yaml
    lacks.
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
        print(f"preset: wrote {shown}" if shown else f"preset: params.yaml is already {name}")
        if not layout.dvc_yaml.exists():
            print(f"preset: no pipeline is here; `spa init DIR --preset {name}` creates one")
    raw = read_params(layout.params)[0]
    pins = open_pins(raw)
    if not resolve:
        for pin in pins:
            print(f"preset: {pin.key} is {pin.source}, with no commit; run `spa preset --resolve`")
        return
    from spa.files import replace_file

    text = resolve_pins(layout.params.read_text(encoding="utf-8"), pins, ask_hub)
    with replace_file(layout.params) as temporary:
        temporary.write_text(text, encoding="utf-8")
    for pin in pins:
        section, key = pin.key.split(".")
        print(f"preset: {pin.key} is now {yaml.safe_load(text)[section][key]}")
    if not pins:
        print("preset: no commit is missing in params.yaml")
