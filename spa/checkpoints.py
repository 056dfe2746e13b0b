"""Checkpoints of training: weights, optimiser and threshold, so that a killed round goes on.

Each is a folder of its own, complete before it gets its name and checked by hash when it is
read; the newest that is whole is used. Training draws no random numbers (the order of the
pairs follows from the seed), so that there is no random state to keep.
"""

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from spa.errors import ArtefactError
from spa.files import hash_file, read_json, replace_folder, write_json
from spa.records import TrainingRow

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
    """

    steps: int
    threshold: list[float]
    references: dict[str, tuple[float, float]]
    log: list[TrainingRow]


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

    def save(self, model: Any, optimizer: Any, progress: Progress) -> None:
        """Write a checkpoint, then delete those before it."""
        target = self._folder / f"step-{progress.steps:08d}"
        with replace_folder(target) as folder:
            save_file(_weights(model), folder / _WEIGHTS)
            save_file(_flat(optimizer.state_dict()["state"]), folder / _OPTIMIZER)
            write_json(
                folder / _STATE,
                {
                    "identity": self._identity,
                    "steps": progress.steps,
                    "threshold": progress.threshold,
                    "references": progress.references,
                    "log": [row.row() for row in progress.log],
                },
            )
            names = (_WEIGHTS, _OPTIMIZER, _STATE)
            write_json(folder / _HASHES, {name: hash_file(folder / name) for name in names})
        for older in self._all():
            if older != target:
                shutil.rmtree(older, ignore_errors=True)
        self._last = time.monotonic()

    def restore(self, model: Any, optimizer: Any) -> Progress | None:
        """Put model and optimiser where the newest whole checkpoint left them, if there is one."""
        for folder in reversed(self._all()):
            if (state := self._read(folder)) is None:
                continue
            _load_weights(model, folder / _WEIGHTS)
            own = optimizer.state_dict()
            optimizer.load_state_dict({**own, "state": _nested(load_file(folder / _OPTIMIZER))})
            return Progress(
                steps=state["steps"],
                threshold=state["threshold"],
                references={k: (a, b) for k, (a, b) in state["references"].items()},
                log=[TrainingRow(**row) for row in state["log"]],
            )
        return None

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))

    def _read(self, folder: Path) -> dict[str, Any] | None:
        """A checkpoint's state, or None where it is damaged or of another training."""
        try:
            hashes = read_json(folder / _HASHES)
            damaged = [
                name for name, digest in hashes.items() if hash_file(folder / name) != digest
            ]
            state: dict[str, Any] = {} if damaged else read_json(folder / _STATE)
        except (ArtefactError, OSError) as error:
            damaged, state = [str(error)], {}
        if damaged:
            print(f"{folder}: is damaged ({damaged[0]}) and not used", file=sys.stderr)
        return state if state.get("identity") == self._identity else None


def _weights(model: Any) -> dict[str, torch.Tensor]:
    """Every parameter that is trained once, tied ones under their first name."""
    named = model.named_parameters()
    return {name: weight.detach().contiguous() for name, weight in named if weight.requires_grad}


@torch.no_grad()
def _load_weights(model: Any, file: Path) -> None:
    saved = load_file(file)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            weight.copy_(saved[name])


def _flat(state: dict[int, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {f"{i}.{key}": value for i, own in state.items() for key, value in own.items()}


def _nested(flat: dict[str, torch.Tensor]) -> dict[int, dict[str, torch.Tensor]]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in flat.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    return state
