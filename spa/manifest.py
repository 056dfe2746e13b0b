"""Manifests: what every stage read, wrote and was asked, as SHA-256 and plain JSON.

dvc.yaml says what a stage reads and writes, so that a manifest needs the stage's name alone.
It is an output of DVC like others and holds content only; the chain of manifests leads from
every file back to data/raw and the base.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from spa.dag import Stage, Tree, read_stages
from spa.errors import ArtefactError
from spa.files import check_version, hash_file, read_json, write_json
from spa.layout import Layout
from spa.param_files import load_params
from spa.params import OVERRIDABLE, Params
from spa.records import SCHEMA_VERSION


def write_manifest(layout: Layout, stage: str) -> None:
    """Write a stage's manifest; the last thing that a stage does.

    Args:
        layout: the pipeline.
        stage: as `dvc repro` names it, `judge@2`. Where dvc.yaml has no such stage, nothing is
            written and stderr says so.
    """
    found = read_stages(layout).get(stage)
    if found is None:
        print(f"warning: dvc.yaml has no stage {stage}; no manifest is written", file=sys.stderr)
        return
    params = load_params(layout.params)
    tree = Tree(layout.root)
    manifest = build_manifest(layout, found, params, tree, lambda f: hash_file(layout.root / f))
    write_json(layout.manifest(stage), manifest)


def build_manifest(
    layout: Layout, stage: Stage, params: Params, tree: Tree, sha256: Callable[[str], str]
) -> dict[str, Any]:
    """What a stage's manifest says for the files and params as they are now.

    Args:
        layout: the pipeline.
        stage: the stage.
        params: of the pipeline, without any round's overrides.
        tree: the pipeline's files.
        sha256: hash of a file, named relative to the pipeline.
    """
    own = layout.show(layout.manifest(stage.name))
    outs = [out for out in stage.outs if out != own]
    inputs = {file: sha256(file) for dep in stage.deps for file in tree.files(dep)}
    outputs = {file: sha256(file) for out in outs for file in tree.files(out)}
    rows = {file: _rows(layout.root / file) for file in outputs if file.endswith(".parquet")}
    policies = [path for path in (*stage.deps, *outs) if path.endswith("/policy")]
    return {
        "schema_version": SCHEMA_VERSION,
        "stage": stage.kind,
        "round": stage.round,
        "inputs": inputs,
        "outputs": outputs,
        "rows": rows,
        "models": {path: model_of({**inputs, **outputs}, path) for path in policies},
        "params": params_of(stage, params),
    }


def _rows(file: Path) -> int | None:
    try:
        return int(pq.ParquetFile(file).metadata.num_rows)
    except (OSError, ValueError):
        return None


def model_of(hashes: Mapping[str, str], folder: str) -> str:
    """`spa.models.model_hash` of a policy whose files' hashes are known; "" without weights."""
    own = (file for file in sorted(hashes) if file.endswith(".safetensors"))
    weights = [hashes[file] for file in own if file.rpartition("/")[0] == folder]
    if len(weights) < 2:
        return "".join(weights)[:16]
    return hashlib.sha256("".join(weights).encode()).hexdigest()[:16]


def policy_hash(folder: Path) -> str:
    """`spa.models.model_hash`, for what must not wait for transformers."""
    return model_of(
        {str(file): hash_file(file) for file in folder.glob("*.safetensors")}, str(folder)
    )


def params_of(stage: Stage, params: Params) -> dict[str, Any]:
    """The params that a stage depends on, defaults and its round's overrides merged in.

    A section of which the stage depends on single keys, and on no override, is told as it is
    for all rounds.
    """
    number = stage.round if stage.round is not None and stage.round.isdigit() else None
    merged = params if number is None else params.for_round(int(number))
    values = merged.model_dump(mode="json", by_alias=True)
    single = {key.split(".")[0] for key in stage.params if "." in key}
    for section in single & OVERRIDABLE.keys():
        if f"rounds.{number}.{section}" not in stage.params:
            values[section] = getattr(params, section).model_dump(mode="json", by_alias=True)
    found: dict[str, Any] = {}
    for key in stage.params:
        section, *rest = key.split(".")
        if section == "rounds" and len(rest) == 2 and rest[1] in OVERRIDABLE:
            section, rest = rest[1], []  # an override: its section has it by now
            if section in found or section in stage.params:
                continue
        if not rest:
            found[section] = values.get(section)
        elif isinstance(own := found.setdefault(section, {}), dict):
            own[rest[0]] = (values.get(section) or {}).get(rest[0])
    return found


def read_manifest(layout: Layout, stage: str) -> dict[str, Any]:
    """A stage's manifest.

    Raises:
        ArtefactError: it is missing, no JSON object, or of another schema version.
    """
    file = layout.manifest(stage)
    value = read_json(file)
    if not isinstance(value, dict):
        raise ArtefactError(f"{layout.show(file)}: is no manifest; delete it and run `dvc repro`")
    check_version(layout.show(file), value.get("schema_version"))
    return value


def check_policies(layout: Layout, stage: str) -> None:
    """Refuse to start a stage whose policies are not as the stages that wrote them left them.

    DVC knows a file by its time and size, and hard-links it to its cache: it sees no bit that
    turned round on a disk, and where it sees one it takes the same file back from the cache.
    A manifest that is not here, as where DVC pulled the policy alone, has nothing to say.

    Args:
        layout: the pipeline.
        stage: as `dvc repro` names it.

    Raises:
        ArtefactError: names the file.
    """
    stages = read_stages(layout)
    read = set(stages[stage].deps) if stage in stages else set()
    for writer in stages.values():
        policies = [out for out in writer.outs if out in read and out.endswith("/policy")]
        if not policies or not layout.manifest(writer.name).is_file():
            continue
        written = read_manifest(layout, writer.name).get("outputs") or {}
        for file, sha256 in written.items():
            place = layout.root / file
            if file.startswith(f"{policies[0]}/") and place.parent.is_dir():
                _check_file(place, file, sha256, writer.name)


def _check_file(place: Path, file: str, sha256: str, writer: str) -> None:
    found = hash_file(place)[:16] if place.is_file() else "nothing"
    if found != sha256[:16]:
        raise ArtefactError(
            f"{file}: found {found}; wanted what {writer} wrote ({sha256[:16]} in its manifest); "
            f"DVC's cache may hold the same damage: `find .dvc/cache -samefile {file} -delete; "
            f"rm {file}`, then `dvc repro {writer}`"
        )


def policy_read(layout: Layout, stage: str) -> str:
    """The round (or `rival`) whose policy a stage of a round read, beside the base's.

    Raises:
        ArtefactError: the manifest cannot be read, or names no such policy.
    """
    manifest = read_manifest(layout, stage)
    folders = {file.rpartition("/")[0] for file in manifest.get("inputs") or ()}
    read = folders & (manifest.get("models") or {}).keys() - {layout.show(layout.policy("base"))}
    if len(read) != 1:
        raise ArtefactError(
            f"{layout.show(layout.manifest(stage))}: names {len(read)} policies that {stage} read; "
            "wanted one; `spa audit` says what was changed"
        )
    return str(read.pop()).split("/")[1].removeprefix("round-")


def params_run_with(layout: Layout, stage: str, section: str) -> dict[str, Any]:
    """A section of the params that a stage ran with, whatever params.yaml says today.

    Raises:
        ArtefactError: the manifest cannot be read, or has no such section.
    """
    found = (read_manifest(layout, stage).get("params") or {}).get(section)
    if not isinstance(found, dict):
        raise ArtefactError(
            f"{layout.show(layout.manifest(stage))}: has no params of {section}; wanted those that "
            f"{stage} ran with; `spa audit` says what was changed"
        )
    return found


def root_hash(layout: Layout) -> str:
    """One SHA-256 over the manifests of all stages of dvc.yaml: it fixes the whole pipeline.

    A signed git tag that holds it, made when the run was finished, shows later changes of
    anything that a stage read or wrote, also by someone who forges manifests and dvc.lock.

    Raises:
        ArtefactError: a stage has no manifest.
    """
    digest = hashlib.sha256()
    for name in sorted(read_stages(layout)):
        file = layout.manifest(name)
        if not file.is_file():
            raise ArtefactError(
                f"{layout.show(file)}: not found; wanted every stage's manifest; run `dvc repro`"
            )
        digest.update(f"{name}\0{hash_file(file)}\n".encode())
    return digest.hexdigest()
