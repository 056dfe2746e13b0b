"""Files against dvc.lock and against the manifests: two records of every byte, kept apart.

Where both disagree with a file, the file changed; where one does, that one was edited.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from spa.audit.findings import Findings
from spa.audit.hashes import Digests, locked
from spa.dag import Stage, Tree, read_raw_params
from spa.errors import ArtefactError
from spa.layout import Layout
from spa.manifest import build_manifest, model_of, read_manifest
from spa.params import Params

_CODE = ("spa/", "stages/", "data/code/")


class FileAudit:
    """Holds every stage's files, params and command against both records of them."""

    def __init__(
        self,
        layout: Layout,
        params: Params,
        stages: Mapping[str, Stage],
        lock: Mapping[str, Any],
        found: Findings,
    ) -> None:
        self._layout, self._params, self._stages = layout, params, stages
        self._lock, self._found = lock, found
        self._tree = Tree(layout.root)
        self._digests = Digests(layout, self._tree)
        self._raw = read_raw_params(layout)
        self._changed: dict[str, list[str]] = defaultdict(list)
        self._params_changed: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._code: dict[str, None] = {}

    def model(self, round: str) -> str:
        """`spa.models.model_hash` of a round's policy, without reading it again."""
        folder = self._layout.show(self._layout.policy(round))
        hashes = {file: self._digests.sha256(file) for file in self._tree.files(folder)}
        return model_of(hashes, folder)

    def run(self) -> set[str]:
        """Check all stages. Returns the files that changed since a stage read or wrote them."""
        paths = {p for stage in self._stages.values() for p in (*stage.deps, *stage.outs)}
        self._digests.read_all({file for path in paths for file in self._tree.files(path)})
        if not self._layout.manifest("base").parent.is_dir():
            self._found.fault(
                "data/manifests", "not found: the run is of an older spa; run `dvc repro`"
            )
        for stage in self._stages.values():
            self._stage(stage)
        for name in sorted(self._lock.keys() - self._stages.keys()):
            self._extra(name)
        for file, said in sorted(self._changed.items()):
            self._found.fault(file, "; ".join(said))
        if lost := sum("missing since" in "; ".join(said) for said in self._changed.values()):
            self._found.note(f"files missing: {lost}; `dvc pull` brings those that a remote has")
        for (key, what), names in self._params_changed.items():
            self._found.fault("params.yaml", f"{key}: {what} ({', '.join(names)})")
        if self._code:
            self._found.note(
                f"{', '.join(self._code)}: this code changed since it ran; `dvc status` says more"
            )
        return set(self._changed)

    def _extra(self, name: str) -> None:
        """A stage that only dvc.lock has: of a round that params.yaml had once, or put in."""
        kind, _, round = name.partition("@")
        of_rounds = {stage.kind for stage in self._stages.values() if "@" in stage.name}
        if kind in of_rounds and round.isdigit():
            self._found.note(f"dvc.lock: {name} is of no round any more; not looked at")
        else:
            what = f"has the stage {name}, dvc.yaml has not; take it out if you took it out there"
            self._found.fault("dvc.lock", what)

    def _stage(self, stage: Stage) -> None:
        entry = self._lock.get(stage.name)
        if entry is None:
            there = [out for out in stage.outs if (self._layout.root / out).exists()]
            if there:
                what = f"has no stage {stage.name}, but {there[0]} is there; run `dvc repro`"
                self._found.fault("dvc.lock", what)
            else:
                self._found.note(f"{stage.name} has not run yet")
            return
        manifest = self._manifest(stage)
        now = build_manifest(self._layout, stage, self._params, self._tree, self._digests.sha256)
        if entry.get("cmd") != stage.cmd:
            what = f"{stage.name}, cmd: found {entry.get('cmd')!r}; dvc.yaml has {stage.cmd!r}"
            self._found.fault("dvc.lock", what)
        self._check_params(stage, entry, manifest, now)
        for kind, declared in (("deps", stage.deps), ("outs", stage.outs)):
            recorded = {str(e.get("path")): e for e in entry.get(kind) or ()}
            for path in sorted(set(declared) ^ recorded.keys()):
                other = "dvc.yaml does not have" if path in recorded else "does not have"
                where = "" if path in recorded else ", but dvc.yaml has"
                what = f"{stage.name}, {kind}: {path}: {other}{where}; it ran otherwise"
                self._found.fault("dvc.lock", what)
            for path in declared:
                if path in recorded:
                    self._path(stage, path, recorded[path], manifest, now)

    def _manifest(self, stage: Stage) -> dict[str, Any] | None:
        file = self._layout.manifest(stage.name)
        if not file.is_file():
            return None
        try:
            return read_manifest(self._layout, stage.name)
        except ArtefactError as error:
            self._found.fault(self._layout.show(file), str(error))
            return None

    def _path(
        self,
        stage: Stage,
        path: str,
        entry: Mapping[str, Any],
        manifest: Mapping[str, Any] | None,
        now: Mapping[str, Any],
    ) -> None:
        actual = self._digests.dvc(path)
        as_locked = actual == locked(entry)
        own = self._layout.show(self._layout.manifest(stage.name))
        if path == own:
            self._check_manifest(own, as_locked, manifest, now)
            return
        kind = "inputs" if path in stage.deps else "outputs"
        was = None if manifest is None else _below(manifest.get(kind), path)
        here = _below(now[kind], path)
        verb = "read" if kind == "inputs" else "wrote"
        if as_locked and was in (None, here):
            return
        if not as_locked and was == here and actual:
            wrong = ", ".join(f"{k} {entry.get(k)}" for k in differences(locked(entry), actual))
            what = f"{stage.name}, {path}: found {wrong}; the file and its manifest say otherwise"
            self._found.fault("dvc.lock", what)
        elif as_locked:
            file = next(iter(_unlike(was or {}, here)))
            self._found.fault(own, f"{kind}: {file}: the file and dvc.lock say otherwise")
        elif path.startswith(_CODE) and path != self._params.rubric.file:
            self._code[path] = None
        else:
            was = was or {}
            for file in _unlike(was, here) or [path]:
                state = (
                    "missing"
                    if file not in here
                    else "changed"
                    if file in was or not was
                    else "new"
                )
                self._changed[file].append(f"{state} since {stage.name} {verb} it")

    def _check_manifest(
        self, own: str, as_locked: bool, manifest: Mapping[str, Any] | None, now: Mapping[str, Any]
    ) -> None:
        if manifest is None:
            if not (self._layout.root / own).is_file():
                self._found.fault(own, "missing; run `dvc pull`, or `dvc repro`")
            return
        wrong = [key for key in differences(manifest, now) if as_locked is False or _derived(key)]
        unchanged = (
            manifest.get("inputs") == now["inputs"] and manifest.get("outputs") == now["outputs"]
        )
        if not as_locked and manifest == now:
            self._found.fault("dvc.lock", f"{own}: its entry was edited; its content holds")
        elif not as_locked:
            self._found.fault(
                own,
                f"edited: dvc.lock has another md5; differs in {', '.join(wrong[:5]) or 'form'}",
            )
        elif wrong and unchanged:
            self._found.fault(own, f"{', '.join(wrong[:5])}: its files say otherwise")

    def _check_params(
        self,
        stage: Stage,
        entry: Mapping[str, Any],
        manifest: Mapping[str, Any] | None,
        now: Mapping[str, Any],
    ) -> None:
        ran_with = (entry.get("params") or {}).get("params.yaml") or {}
        current = {key: _look_up(self._raw, key) for key in stage.params}
        by_lock = differences(ran_with, current)
        was = None if manifest is None else manifest.get("params") or {}
        by_manifest = [] if was is None else _unlike_manifest(was, now["params"], ran_with)
        if by_lock and was is not None and not by_manifest:
            what = f"{stage.name}, params: {by_lock[0]}: params.yaml and the manifest say otherwise"
            self._found.fault("dvc.lock", what)
        elif by_lock:
            ran, have = _leaves(ran_with), _leaves(current)
            for key in by_lock:
                what = f"found {have.get(key)!r}; stages ran with {ran.get(key)!r}"
                self._params_changed[key, what].append(stage.name)
        elif by_manifest:
            own = self._layout.show(self._layout.manifest(stage.name))
            what = f"params: {by_manifest[0]}: params.yaml and dvc.lock say otherwise"
            self._found.fault(own, what)


def differences(one: Any, other: Any) -> list[str]:
    """Dotted names of the leaves in which two nested values differ."""
    left, right = _leaves(one), _leaves(other)
    return [
        key
        for key in {**left, **right}
        if (key in left) != (key in right) or left[key] != right[key]
    ]


def _leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        found: dict[str, Any] = {}
        for key, own in value.items():
            found |= _leaves(own, f"{prefix}.{key}" if prefix else str(key))
        return found
    return {prefix: value}


def _unlike_manifest(was: Any, now: Any, ran_with: Any) -> list[str]:
    """Params that a manifest has otherwise, or lacks though params.yaml named them.

    Others that it lacks are defaults of a newer spa.
    """
    there = _leaves(was) if was else {}
    ran = _leaves(ran_with)
    named = {*ran, *(re.sub(r"^rounds\.\d+\.", "", key) for key in ran)}  # overrides are merged in
    return [key for key in differences(was, now) if key in there or key in named]


def _below(files: Any, path: str) -> dict[str, str]:
    listed = files if isinstance(files, Mapping) else {}
    return {f: h for f, h in listed.items() if f == path or f.startswith(f"{path}/")}


def _unlike(was: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Files that two listings do not share, or have with other hashes."""
    return sorted(file for file in {*was, *here} if was.get(file) != here.get(file))


def _derived(key: str) -> bool:
    """Whether a manifest's key follows from the files that it names."""
    return key.split(".")[0] in ("models", "rows", "stage", "round", "schema_version")


def _look_up(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values
