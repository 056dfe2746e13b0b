"""The files of a finished run, each held against the manifest of the stage that wrote it."""

from pathlib import Path
from typing import Any

from spa.dag import read_stages
from spa.errors import ArtefactError, ParamsError
from spa.files import hash_file
from spa.layout import Layout
from spa.manifest import params_of, read_manifest, root_hash
from spa.params import Params


class Sources:
    """What may be published: files and params that are as the run left them.

    `root_hash` is the whole run's.

    Args:
        layout: the pipeline.
        params: of the pipeline, without any round's overrides.

    Raises:
        ArtefactError: a stage has no manifest.
        ParamsError: a stage ran with other params.
    """

    def __init__(self, layout: Layout, params: Params) -> None:
        self.root_hash = root_hash(layout)
        self._layout = layout
        self._manifests: dict[str, dict[str, Any]] = {}
        self._written: dict[str, tuple[str, str]] = {}
        for name, stage in read_stages(layout).items():
            self._manifests[name] = manifest = read_manifest(layout, name)
            if key := _changed(manifest["params"], params_of(stage, params)):
                raise ParamsError(
                    f"params.yaml: {key}: found another value than the one that {name} ran with; "
                    "wanted a finished run; run `dvc repro`"
                )
            for file, sha256 in manifest["outputs"].items():
                self._written[file] = (name, sha256)

    def file(self, path: Path) -> Path:
        """`path`, if it is as its stage wrote it.

        Raises:
            ArtefactError: no stage wrote it, it is missing, or it is another one now.
        """
        name = self._layout.show(path)
        if name not in self._written:
            raise ArtefactError(
                f"{name}: is in no stage's manifest; wanted a file of a finished run; run "
                "`dvc repro`, or take it out of the folder"
            )
        stage, sha256 = self._written[name]
        if not path.is_file():
            raise ArtefactError(f"{name}: not found; {stage} wrote it; run `dvc repro`")
        if hash_file(path) != sha256:
            raise ArtefactError(
                f"{name}: found another file than {stage} wrote; wanted a run as it was made; "
                "`spa audit` says what was changed"
            )
        return path

    def model(self, round: str) -> str:
        """`spa.models.model_hash` of a policy, as the stage that wrote it says."""
        stage = {"base": "base", "0": "seed", "rival": "rival"}.get(round, f"train@{round}")
        models: dict[str, str] = self._manifests[stage]["models"]
        return models[self._layout.show(self._layout.policy(round))]


def _changed(ran: Any, now: Any) -> str:
    """The first param that a stage ran with and that is another one now, or "".

    Params that are newer than the manifest had their defaults, so that they count for nothing.
    """
    if not isinstance(ran, dict) or not isinstance(now, dict):
        return "" if ran == now else "."
    for key, value in ran.items():
        if found := _changed(value, now.get(key)):
            return f"{key}.{found}".rstrip(".")
    return ""
