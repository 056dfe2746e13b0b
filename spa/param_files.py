"""Reading params.yaml and compute.yaml: all their faults at once, each with its key."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from spa.compute import Compute
from spa.errors import ParamsError
from spa.params import OVERRIDABLE, Params, merged
from spa.records import SCHEMA_VERSION
from spa.section import MOST, Section


def _shown(key: object) -> str:
    """A key as it stands in the file, in one line: escaped where it holds what cannot be seen."""
    name = str(key)
    return name if name.isprintable() else repr(name)


def _describe(fault: ErrorDetails) -> str:
    key = ".".join(map(_shown, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key (a slip of the pen?)"
    if fault["type"] == "missing":
        return f"{key}: missing"
    return f"{key}: found {fault['input']!r}, {fault['msg'][:1].lower()}{fault['msg'][1:]}"


def _faults(kind: type[Section], value: Any) -> list[ErrorDetails]:
    try:
        kind.model_validate(value)
    except ValidationError as error:
        return error.errors()
    return []


def _override_faults(name: str, kind: type[Section], raw: dict[str, Any]) -> Iterator[str]:
    """Faults of each round's overrides of one section, without the section's own faults."""
    section, rounds = raw.get(name) or {}, raw.get("rounds")
    if not isinstance(section, dict) or not isinstance(rounds, dict):
        return
    own = [_describe(fault) for fault in _faults(kind, section)]
    for key, line in rounds.items():
        overrides = line.get(name) if isinstance(line, dict) else None
        if not isinstance(overrides, dict):
            continue
        for fault in _faults(kind, merged(section, overrides)):
            text = _describe(fault)
            if text not in own or _is_said(overrides, fault["loc"]):
                yield f"rounds.{_shown(key)}.{name}.{text}"


def _is_said(overrides: dict[str, Any], place: tuple[int | str, ...]) -> bool:
    """Whether overrides themselves have the key at fault, and do not take it from the section."""
    inner = overrides.get(str(place[0]))
    if isinstance(inner, dict) and len(place) > 1:
        return place[1] in inner
    return inner is not None


def _round_faults(raw: dict[str, Any]) -> Iterator[str]:
    rounds = raw.get("rounds")
    if not isinstance(rounds, dict):
        return
    earlier = {"0", "rival"}
    for key, line in rounds.items():
        if not isinstance(key, str):
            yield f'rounds.{key}: the key is a number; quote it ("{key}":), or DVC drops the round'
        elif not re.fullmatch("[1-9][0-9]*", key):
            yield f'rounds.{_shown(key)}: found {key!r}, wanted a number from "1" in quotes'
        prev = line.get("prev") if isinstance(line, dict) else None
        if isinstance(prev, str) and prev not in earlier:
            wanted = ", ".join(sorted(earlier))
            yield f"rounds.{_shown(key)}.prev: found {prev!r}, wanted an earlier round ({wanted})"
        earlier.add(str(key))


def _everywhere(raw: dict[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A section, and the section with each round's overrides, by where that stands."""
    section, rounds = raw.get(name) or {}, raw.get("rounds")
    if not isinstance(section, dict):
        return
    yield name, section
    for key, line in rounds.items() if isinstance(rounds, dict) else []:
        own = line.get(name) if isinstance(line, dict) else None
        if isinstance(own, dict) and own:
            yield f"rounds.{_shown(key)}.{name}", merged(section, own)


def _judge_faults(raw: dict[str, Any]) -> Iterator[str]:
    """Judges that name no model, in the section and with each round's overrides."""
    for where, judge in _everywhere(raw, "judge"):
        if judge.get("method") == "reward_model" and not judge.get("model"):
            yield f"{where}.model: missing; wanted a folder, as the method is reward_model"


def _noise_faults(raw: dict[str, Any]) -> Iterator[str]:
    """Windows so small that the noise share is less than one of their pairs: none is doubted."""
    for where, train in _everywhere(raw, "train"):
        share, window = train.get("noise_share", 0.1), train.get("noise_window", 50)
        numbers = isinstance(share, int | float) and isinstance(window, int | float)
        if numbers and share > 0 and 0 < window < 1 / share:
            least = math.ceil(min(1 / share, MOST))
            yield (
                f"{where}.noise_window: found {window} at noise_share {share}, of which no pair "
                f"would ever be doubted; wanted {least} or more (noise_share 0 turns it off)"
            )


def _annotator_faults(raw: dict[str, Any]) -> Iterator[str]:
    """Annotators that name no model or file, or are named twice."""
    section = raw.get("evaluate")
    if not isinstance(section, dict):
        return
    names = section.get("annotator", "rubric")
    names = names if isinstance(names, list) else [names]
    if len(set(map(str, names))) < len(names):
        yield f"evaluate.annotator: found {names!r}; wanted each name once"
    for name in ("llm", "reward_model", "recorded"):
        if name in names and not section.get(name):
            yield f"evaluate.{name}: missing; wanted a path, as an annotator is {name}"


def _evaluation_faults(raw: dict[str, Any]) -> Iterator[str]:
    """Files where DVC does not look, and a reference that nothing brings."""
    section, split = raw.get("evaluate"), raw.get("split")
    if not isinstance(section, dict) or not isinstance(split, dict):
        return
    for name in ("recorded", "regression_data"):
        file = section.get(name)
        inside = isinstance(file, str) and file.startswith("data/raw/annotations/")
        if isinstance(file, str) and (not inside or ".." in file.split("/")):
            yield (
                f"evaluate.{name}: found {file!r}; wanted a file under data/raw/annotations/, "
                "which evaluations depend on"
            )
    if section.get("against") == "reference" and not split.get("instructions"):
        yield "evaluate.against: found 'reference'; wanted split.instructions, with outputs"


def _seed_faults(raw: dict[str, Any]) -> Iterator[str]:
    """Round 0 learns from labels or is another model's: one of the two, and not both."""
    base, split = raw.get("base"), raw.get("split")
    if not isinstance(base, dict) or not isinstance(split, dict):
        return
    pairs, policy = split.get("seed_pairs"), base.get("policy")
    if pairs == 0 and policy is None:
        yield "split.seed_pairs: found 0; wanted labelled pairs, or base.policy in their place"
    if pairs and policy is not None:
        yield (
            f"base.policy: given beside {pairs} seed pairs, which would train nothing; wanted "
            "one of the two; set split.seed_pairs to 0"
        )


def _version_faults(raw: dict[str, Any]) -> Iterator[str]:
    """A params.yaml of another spa: which way to migrate."""
    found = raw.get("schema_version", SCHEMA_VERSION)
    if not isinstance(found, int) or found == SCHEMA_VERSION:
        return
    todo = (
        "this file is of a newer spa: install that one"
        if found > SCHEMA_VERSION
        else "CHANGELOG.md says which keys changed; mend them and set it, then run `dvc repro`"
    )
    yield f"schema_version: found {found}, wanted {SCHEMA_VERSION}; {todo}"


def check_params(raw: Any) -> tuple[Params | None, list[str]]:
    """Validate the content of params.yaml; returns the params, or all faults, never both."""
    if not isinstance(raw, dict):
        return None, [f"found {type(raw).__name__}, wanted a mapping of sections"]
    if old := list(_version_faults(raw)):
        return None, old  # its other keys may have had another meaning
    faults: list[str] = []
    params = None
    try:
        quoted = {**raw}
        if isinstance(raw.get("rounds"), dict):
            quoted["rounds"] = {str(key): value for key, value in raw["rounds"].items()}
        params = Params.model_validate(quoted)
    except ValidationError as error:
        faults += map(_describe, error.errors())
    for name, kind in OVERRIDABLE.items():
        faults += _override_faults(name, kind, raw)
    faults += _round_faults(raw)
    faults += _judge_faults(raw)
    faults += _noise_faults(raw)
    faults += _annotator_faults(raw)
    faults += _evaluation_faults(raw)
    faults += _seed_faults(raw)
    return (None, faults) if faults else (params, [])


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Params flat, `a.b` for a nested key."""
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping):
            yield from flatten(inner, f"{name}.")
        else:
            yield name, inner


class _Once(yaml.SafeLoader):
    """YAML in which no key stands twice: of two, PyYAML keeps the last, and DVC reads neither."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        marks: dict[str, Any] = {}
        for key, _ in node.value:
            name = str(key.value)
            if name in marks:
                raise yaml.MarkedYAMLError(f"key {name!r}", marks[name], "again", key.start_mark)
            marks[name] = key.start_mark
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Once)
    except FileNotFoundError as error:
        raise ParamsError(
            f"{path}: not found; wanted the numbers of the experiment; `spa preset NAME` writes one"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        text = " ".join(str(error).split())
        raise ParamsError(f"{path}: is not YAML: {text}") from error


def read_params(path: Path) -> tuple[Any, Params | None, list[str]]:
    """Read params.yaml: as it stands there, and checked, or all its faults (`check_params`).

    Raises:
        ParamsError: the file is not there or is not YAML.
    """
    raw = _read_yaml(path)
    return raw, *check_params(raw)


def load_params(path: Path) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: with every fault of the file in one line.
    """
    _, params, faults = read_params(path)
    if params is None:
        raise ParamsError(f"{path.name}: {'; '.join(faults)}")
    return params


def load_compute(path: Path) -> Compute:
    """Read compute.yaml; a missing file means that everything is found out.

    Raises:
        ParamsError: with every fault of the file in one line.
    """
    if not path.exists():
        return Compute()
    found = _read_yaml(path)
    try:
        return Compute.model_validate({} if found is None else found)
    except ValidationError as error:
        raise ParamsError(f"{path.name}: {'; '.join(map(_describe, error.errors()))}") from error
