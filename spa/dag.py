"""The stages of dvc.yaml for the rounds of params.yaml, and what DVC recorded of them.

Read without DVC itself where a stage needs it, as importing DVC costs more than small stages.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml import CSafeLoader

from spa.errors import ArtefactError, ParamsError
from spa.layout import Layout

_REFERENCE = re.compile(r"\$\{([^}]+)\}")
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_ROUNDS = {"seed": "0", "baseline": "base", "evaluate_seed": "0", "rival": "rival"}


class _Yaml12(CSafeLoader):
    """YAML 1.2, which DVC writes (1e-6 is a number, off is text), 20 times as fast as ruamel."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012, as the base class says


for _kind, _form, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"~|null", "~n"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        "-+.0123456789",
    ),
):
    _Yaml12.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_form})$"), list(_first)
    )


@dataclass(frozen=True)
class Stage:
    """One stage as `dvc repro` names it, such as `judge@2`; paths relative to dvc.yaml.

    `round` is None for stages that belong to none: base, split and report.
    """

    name: str
    cmd: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.name.partition("@")[0]

    @property
    def round(self) -> str | None:
        return self.name.partition("@")[2] or _ROUNDS.get(self.name)


def read_stages(layout: Layout) -> dict[str, Stage]:
    """All stages of dvc.yaml by name, those under `foreach` once for every round, in order.

    Raises:
        ParamsError: dvc.yaml is no YAML or names a param that params.yaml does not have.
    """
    try:
        wanted = yaml.load(layout.dvc_yaml.read_text(encoding="utf-8"), Loader=CSafeLoader) or {}
        params = yaml.load(layout.params.read_text(encoding="utf-8"), Loader=CSafeLoader) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise ParamsError(
            f"{layout.root}: dvc.yaml and params.yaml cannot be read: {text}"
        ) from error
    try:
        bodies = dict(wanted.get("stages") or {})
        return dict(one for name in bodies for one in _stages(name, bodies[name], params))
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ParamsError(
            f"{layout.dvc_yaml}: its stages are not as DVC has them ({type(error).__name__}: "
            f"{error}); wanted a cmd each, lists of deps, params and outs; `dvc stage list` says "
            "where, or `git checkout dvc.yaml`"
        ) from error


def _stages(name: str, body: Mapping[str, Any], params: Any) -> Iterator[tuple[str, Stage]]:
    """The stages that one entry stands for: one, or one for each round."""
    if "foreach" not in body:
        yield name, _stage(name, body, params)
        return
    lines = body["foreach"]
    items = _look_up(params, lines.strip("${}")) if isinstance(lines, str) else lines
    for key, item in (items if isinstance(items, dict) else dict.fromkeys(items)).items():
        scope = {**params, "key": key, "item": item if item is not None else key}
        yield f"{name}@{key}", _stage(f"{name}@{key}", body["do"], scope)


def _stage(name: str, body: Mapping[str, Any], scope: Mapping[str, Any]) -> Stage:
    def fill(text: str) -> str:
        return _REFERENCE.sub(lambda match: str(_look_up(scope, match[1].strip())), text)

    def paths(*keys: str) -> tuple[str, ...]:
        entries = [entry for key in keys for entry in body.get(key) or ()]
        return tuple(fill(next(iter(e)) if isinstance(e, dict) else e) for e in entries)

    own = tuple(fill(key) for key in body.get("params") or () if isinstance(key, str))
    return Stage(
        name, fill(str(body["cmd"])), paths("deps"), paths("outs", "metrics", "plots"), own
    )


def _look_up(values: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(values, Mapping) or part not in values:
            raise ParamsError(
                f"dvc.yaml: wants ${{{key}}}, which params.yaml does not have; add it there"
            )
        values = values[part]
    return values


def downstream(stages: Mapping[str, Stage], changed: Iterable[str]) -> list[str]:
    """Names of the stages that must run again if files or folders change, in dvc.yaml's order.

    Every output of a stage that runs again counts as changed.
    """
    dirty, redone = set(changed), set[str]()
    while True:
        new = {
            name
            for name, stage in stages.items()
            if name not in redone
            and any(_touches(dep, path) for dep in stage.deps for path in dirty)
        }
        if not new:
            return [name for name in stages if name in redone]
        redone |= new
        dirty |= {out for name in new for out in stages[name].outs}


def _touches(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def read_lock(layout: Layout) -> dict[str, dict[str, Any]]:
    """What dvc.lock says of every stage, as DVC reads it.

    Raises:
        ArtefactError: there is none, or it cannot be read, as where it was cut.
    """
    if not layout.dvc_lock.is_file():
        raise ArtefactError(f"{layout.dvc_lock}: not found; wanted a finished run; run `dvc repro`")
    try:
        text = layout.dvc_lock.read_text(encoding="utf-8")
        stages = dict(yaml.load(text, Loader=_Yaml12).get("stages") or {})
        for name, entry in stages.items():
            _check_lock_entry(name, entry)
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise ArtefactError(
            f"{layout.dvc_lock}: cannot be read ({text}); check it out from git again"
        ) from error
    return stages


def _check_lock_entry(stage: str, entry: Mapping[str, Any]) -> None:
    """Raise ValueError where a stage's entry was cut, which YAML alone does not always show."""
    for kind in ("deps", "outs"):
        for file in entry.get(kind) or ():
            md5 = file.get("md5", "")
            if not {"path", "size"} <= file.keys() or not _MD5.fullmatch(str(md5)):
                raise ValueError(f"{stage}, {kind}, {file.get('path')}: md5 {md5!r} is cut")


def read_raw_params(layout: Layout) -> dict[str, Any]:
    """params.yaml as DVC reads it (YAML 1.2, where 1e-6 is a number)."""
    from dvc.utils.serialize import load_yaml

    return dict(load_yaml(str(layout.params)))


class Tree:
    """The files of a pipeline as DVC sees them, without what .dvcignore leaves out.

    Raises:
        ParamsError: .dvcignore is no text, which DVC cannot read either.
    """

    def __init__(self, root: Path) -> None:
        import pathspec

        ignored = root / ".dvcignore"
        try:
            lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
        except UnicodeDecodeError as error:
            raise ParamsError(f"{ignored}: is not UTF-8 ({error}); save it as UTF-8") from error
        self._root = root
        self._ignored = pathspec.GitIgnoreSpec.from_lines([".dvc/", ".git/", *lines])

    def files(self, path: str) -> Iterator[str]:
        """A file itself, or all files below a folder, sorted; nothing where neither is there."""
        place = self._root / path
        found = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
        for file in found:
            name = file.relative_to(self._root).as_posix()
            if file.is_file() and not self._ignored.match_file(name):
                yield name
