"""Checkpoints of training: weights, optimiser and threshold, so that a killed round goes on.

Each is a folder of its own, complete before it gets its name and checked by hash when it is
read; the newest that is whole is used. Training draws no random numbers (the order of the
pairs follows from the seed), so that there is no random state to keep.
"""

import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from spa.errors import ArtefactError
from spa.files import hash_file, read_json, replace_folder, write_json
from spa.records import TrainingRow
from spa.sharding import gathered, part

_WEIGHTS, _OPTIMIZER, _STATE, _HASHES = (
    "weights.safetensors",
    "optimizer.safetensors",
    "state.json",
    "hashes.json",
)


@dataclass(frozen=True)
class Progress:
    """How far training came.

    Attributes:
        steps: optimiser steps done.
        threshold: state of the rolling threshold.
        references: log-probabilities (nats) of each pair's chosen and rejected answer before
            the first step.
        log: the rows of all steps done.
        reduced: pairs at once as they were asked for, and as memory held them.
    """

    steps: int
    threshold: list[float]
    references: dict[str, tuple[float, float]]
    log: list[TrainingRow] = field(default_factory=list)
    reduced: tuple[int, int] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """One that is whole and of this training.

    Attributes:
        progress: how far it came.
    """

    _folder: Path
    progress: Progress

    @torch.no_grad()
    def load(self, model: Any, optimizer: Any) -> None:
        """Put model and optimiser where it left them, at any number of processes."""
        trained = _trained(model)
        saved = load_file(self._folder / _WEIGHTS)
        for name, weight in trained.items():
            weight.copy_(part(saved[name], weight))
        state, order = _nested(load_file(self._folder / _OPTIMIZER)), list(trained.values())
        for index in sorted(state):
            own = state[index]
            own.update({key: part(value, order[index]) for key, value in own.items()})
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


class Checkpoints:
    """The checkpoints of one round's training."""

    def __init__(self, folder: Path, identity: str, *, seconds: float) -> None:
        """Keep checkpoints in `folder`, at most one every `seconds`.

        Args:
            folder: theirs alone.
            identity: hash of all that the training follows from; others' are not read.
            seconds: 0 keeps one after every step.
        """
        self._folder = folder
        self._identity = identity
        self._seconds = seconds
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for another."""
        return time.monotonic() - self._last >= self._seconds

    def save(self, model: Any, optimizer: Any, progress: Progress, *, write: bool = True) -> None:
        """Write a checkpoint, then delete those before it.

        Args:
            model: what is trained.
            optimizer: its AdamW.
            progress: how far it came.
            write: whether this process is the one that writes; where weights are in parts the
                others call it too and hand theirs over.
        """
        weights = gathered(_trained(model), keep=write)
        moments = gathered(_flat(optimizer.state_dict()["state"]), keep=write)
        if not write:
            return
        target = self._folder / f"step-{progress.steps:08d}"
        with replace_folder(target) as folder:
            save_file(weights, folder / _WEIGHTS)
            save_file(moments, folder / _OPTIMIZER)
            write_json(
                folder / _STATE,
                {
                    "identity": self._identity,
                    "steps": progress.steps,
                    "threshold": progress.threshold,
                    "references": progress.references,
                    "log": [row.row() for row in progress.log],
                    "reduced": progress.reduced,
                },
            )
            write_json(folder / _HASHES, _hashes(folder))
        for older in self._all():
            if older != target:
                shutil.rmtree(older, ignore_errors=True)
        self._last = time.monotonic()

    def newest(self) -> Checkpoint | None:
        """The newest that is whole, if there is one."""
        for folder in reversed(self._all()):
            if (state := self._read(folder)) is None:
                continue
            progress = Progress(
                steps=state["steps"],
                threshold=state["threshold"],
                references={k: (a, b) for k, (a, b) in state["references"].items()},
                log=[TrainingRow(**row) for row in state["log"]],
                reduced=state["reduced"] and tuple(state["reduced"]),
            )
            return Checkpoint(folder, progress)
        return None

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))

    def _read(self, folder: Path) -> dict[str, Any] | None:
        """A checkpoint's state, or None where it is damaged or of another training."""
        fault, state = "", dict[str, Any]()
        try:
            if read_json(folder / _HASHES) == _hashes(folder):
                state = read_json(folder / _STATE)
            else:
                fault = f"{_HASHES} says otherwise"
        except (ArtefactError, OSError) as error:
            fault = str(error)
        if fault:
            print(f"{folder}: is damaged ({fault}) and not used", file=sys.stderr)
        return state if state.get("identity") == self._identity else None


def _hashes(folder: Path) -> dict[str, str]:
    return {name: hash_file(folder / name) for name in (_WEIGHTS, _OPTIMIZER, _STATE)}


def _trained(model: Any) -> dict[str, torch.Tensor]:
    """Every parameter that is trained once, tied ones under their first name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def _flat(state: dict[int, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {f"{i}.{key}": value for i, own in state.items() for key, value in own.items()}


def _nested(flat: dict[str, torch.Tensor]) -> dict[int, dict[str, torch.Tensor]]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in flat.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    return state
