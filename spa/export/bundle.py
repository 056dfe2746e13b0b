"""Writing a bundle: its folder, whole or not at all, and the hashes of all that is in it."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spa.errors import ArtefactError, InputError
from spa.export.cards import dataset_card, files_of, model_card
from spa.export.croissant import croissant
from spa.export.facts import Facts, read_facts
from spa.export.pairs import PublishedPair
from spa.export.private import without_origin, without_places
from spa.export.sources import Sources
from spa.files import hash_file, read_json, replace_folder, write_json
from spa.layout import Layout
from spa.params import Params
from spa.records import SCHEMA_VERSION
from spa.tables import write_table

KIND = "spa export"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Exported:
    """What was written.

    `files` has the size of each in bytes, by its path in the folder; `root_hash` is the run's,
    `bundle_hash` the SHA-256 of manifest.json, which holds the root hash and every file's.
    """

    folder: Path
    files: dict[str, int]
    root_hash: str
    bundle_hash: str


def export_round(layout: Layout, params: Params, round: int, out: Path | None = None) -> Exported:
    """Write a round as a bundle; equal runs give equal bytes.

    Args:
        layout: a finished pipeline.
        params: of the pipeline, without any round's overrides.
        round: whose policy it is, from 0.
        out: the folder, by default `layout.export(round)`. An earlier export is replaced.

    Raises:
        InputError: the folder holds something else than an earlier export.
        ArtefactError: the run is not finished, or a file is not the one that its stage wrote.
        ParamsError: params.yaml has no such round, or other values than the run had.
    """
    params.for_round(round)
    folder = (out or layout.export(round)).resolve()
    _refuse_others(folder)
    sources = Sources(layout, params)
    facts = read_facts(sources, layout, params, round)
    with replace_folder(folder) as made:
        _write_model(sources, layout, facts, made / "model")
        _write_data(facts, made / "data")
        write_json(made / "metrics.json", facts.metrics())
        _write_params(params, made / "params.yaml")
        files = {path.relative_to(made).as_posix(): path for path in _files(made)}
        hashes = {name: hash_file(path) for name, path in files.items()}
        _write_manifest(facts, hashes, made / MANIFEST)
        sizes = {n: (made / n).stat().st_size for n in sorted([*files, MANIFEST])}
        bundle_hash = hash_file(made / MANIFEST)
    return Exported(folder, sizes, facts.root_hash, bundle_hash)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def _refuse_others(folder: Path) -> None:
    """Refuse a folder in which anything would be lost that no export wrote."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        manifest = read_json(folder / MANIFEST) if folder.is_dir() else None
    except (ArtefactError, OSError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise InputError(
            f"{folder}: found something else than an earlier export; wanted a new or empty folder, "
            "or an export to replace; choose another --out"
        )
    known = {MANIFEST, *manifest.get("files", ())}
    strange = [n for p in _files(folder) if (n := p.relative_to(folder).as_posix()) not in known]
    if strange:
        raise InputError(
            f"{folder}: found {strange[0]}, which no export wrote; wanted an export to replace; "
            "move it away or choose another --out"
        )


def _write_model(sources: Sources, layout: Layout, facts: Facts, into: Path) -> None:
    policy = layout.policy(facts.round)
    if not any(policy.glob("*.safetensors")):
        raise ArtefactError(
            f"{layout.show(policy)}: found no .safetensors file; wanted a policy; run `dvc repro` "
            "or `dvc pull`"
        )
    for file in _files(policy):
        copy = into / file.relative_to(policy)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sources.file(file), copy)
        if file.suffix == ".json":
            value = read_json(file)
            if (public := without_origin(value)) != value:
                write_json(copy, public)
    (into / "README.md").write_text(model_card(facts), encoding="utf-8")


def _write_data(facts: Facts, into: Path) -> None:
    described = {}
    for name, pairs in files_of(facts).items():
        file = into / f"{name}.parquet"
        write_table(file, pairs, PublishedPair)
        described[name] = (hash_file(file), file.stat().st_size)
    write_json(into / "croissant.json", croissant(f"spa-round-{facts.round}-pairs", described))
    (into / "README.md").write_text(dataset_card(facts), encoding="utf-8")


def _write_params(params: Params, file: Path) -> None:
    values = without_places(params.model_dump(mode="json", by_alias=True))
    text = yaml.safe_dump(values, sort_keys=False, width=100)
    file.write_text(text, encoding="utf-8")


def _write_manifest(facts: Facts, hashes: dict[str, str], file: Path) -> None:
    manifest: dict[str, Any] = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "round": facts.round,
        "root_hash": facts.root_hash,
        "model": facts.models[str(facts.round)],
        "files": hashes,
    }
    write_json(file, manifest)
