"""What a sweep runs: every combination of values, under every seed."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import yaml

from spa.errors import ParamsError
from spa.param_files import check_params
from spa.params import OVERRIDABLE

PREFIX = "sweep-"


@dataclass(frozen=True)
class Cell:
    """One experiment: params.yaml with some keys (`train.beta`) set to values, as text."""

    changes: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Of the experiment: the same for the same changes."""
        text = json.dumps(sorted(self.changes))
        return PREFIX + hashlib.sha256(text.encode()).hexdigest()[:8]

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self.changes)

    def overrides(self, raw: Mapping[str, Any]) -> list[str]:
        """The changes as `dvc exp run -S` takes them: a key that is not there yet has a `+`."""
        return [f"{'' if _has(raw, key) else '+'}{key}={value}" for key, value in self.changes]


def plan_cells(
    raw: dict[str, Any], seeds: int, fixed: Sequence[str], grid: Sequence[str]
) -> list[Cell]:
    """Every combination of the grid's values, under `seeds` seeds from params.yaml's own upwards.

    Args:
        raw: params.yaml as it stands there.
        seeds: how many.
        fixed: `key=value`, the same for all.
        grid: `key=v1,v2`, one cell for each; commas within brackets part nothing.

    Raises:
        ParamsError: something is no `key=value`, a key is there twice, or a cell's params are
            impossible.
    """
    axes = [*((key, [value]) for key, value in map(_split, fixed))]
    axes += [(key, list(_values(values))) for key, values in map(_split, grid)]
    names = [key for key, _ in axes]
    if twice := sorted({key for key in names if names.count(key) > 1}):
        raise ParamsError(f"sweep: {', '.join(twice)}: found more than once; wanted each key once")
    if "seed" in names:
        raise ParamsError("sweep: seed: its values count up from that of params.yaml; use --seeds")
    own = [*axes, ("seed", [str(raw["seed"] + number) for number in range(seeds)])]
    keys = [key for key, _ in own]
    cells = [
        Cell(tuple(zip(keys, values, strict=True)))
        for values in itertools.product(*(values for _, values in own))
    ]
    for cell in cells:
        _check(raw, cell)
    return cells


def without_effect(raw: Mapping[str, Any], cells: Sequence[Cell]) -> Iterator[str]:
    """Notes on keys that rounds set for themselves, so that a change does not reach them."""
    for key in dict.fromkeys(key for cell in cells for key, _ in cell.changes):
        section, _, name = key.partition(".")
        if section in OVERRIDABLE:
            rounds = [r for r, line in raw["rounds"].items() if name in (line.get(section) or {})]
            if rounds:
                yield (
                    f"{key} has no effect in round {', '.join(rounds)}, which has its own: "
                    f"rounds.{rounds[0]}.{key}"
                )


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise ParamsError(f"sweep: found {text!r}; wanted KEY=VALUE, such as train.beta=0.1")
    return key, value


def _values(text: str) -> Iterator[str]:
    """The parts between commas that stand in no bracket."""
    depth, part = 0, ""
    for sign in text:
        depth += (sign in "[{") - (sign in "]}")
        if sign == "," and depth == 0:
            yield part
            part = ""
        else:
            part += sign
    yield part


def _has(raw: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(raw, Mapping) or part not in raw:
            return False
        raw = raw[part]
    return True


def _check(raw: dict[str, Any], cell: Cell) -> None:
    changed = deepcopy(raw)
    for key, value in cell.changes:
        *folders, last = key.split(".")
        place = changed
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise ParamsError(f"sweep: {key}: {folder} in params.yaml has no keys")
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ParamsError(f"sweep: {key}: found {value!r}; wanted a YAML value") from error
    _, faults = check_params(changed)
    if faults:
        raise ParamsError(f"sweep: {cell}: {'; '.join(faults)}")
