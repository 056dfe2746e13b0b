"""Tool `export`: a round as a bundle for publication."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spa.export import Exported

Round = Annotated[int, typer.Option("--round", min=0, help="Round whose policy is exported.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder to write, by default data/export/round-N. An earlier export in it is "
        "replaced; anything else is refused."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main(round: Round, out: Out = None, as_json: Json = False) -> None:
    """Write a round as a bundle for publication: model, pairs, figures, params, cards, hashes.

    model/ loads directly in transformers, data/ in datasets and TRL; both have a card filled in
    from the run's files, and data/ has Croissant metadata. Raw data, held-out prompts, gold
    labels and paths of this machine are left out. A file that differs from the run's manifests
    is refused. Equal runs give equal bytes.
    """
    import json

    from spa.export import export_round
    from spa.layout import Layout
    from spa.param_files import load_params

    layout = Layout.find()
    made = export_round(layout, load_params(layout.params), round, out)
    tag = (
        f'git tag -s export-round-{round} -m "root hash {made.root_hash}" '
        f'-m "manifest.json {made.bundle_hash}"'
    )
    if as_json:
        hashes = {"root_hash": made.root_hash, "bundle_hash": made.bundle_hash, "tag": tag}
        print(json.dumps({"round": round, "out": str(made.folder), "files": made.files, **hashes}))
        return
    _show(made, layout.show(made.folder))
    print("not included: raw data, held-out prompts, gold labels")
    print(f"root hash: {made.root_hash}")
    print(f"to sign it and the bundle's hash in a tag: {tag}")


def _show(made: "Exported", folder: str) -> None:
    for name, size in made.files.items():
        print(f"{size:>14,}  {name}")
    total = sum(made.files.values())
    print(f"export: {len(made.files)} files, {total / 1e6:,.1f} MB; see {folder}")
