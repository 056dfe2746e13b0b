"""One of several processes that train the tiny model, as torch's launcher starts it in tests.

It writes its log, its weights and how many numbers of the model it held while it trained.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from spa.checkpoints import Checkpoints
from spa.distribution import Distribution
from spa.records import TrainingRow
from tests.spa.test_training import _train, _weights

KILLED = 9


def main(folder: Path, out: Path, *, kill: int = -1, kept: str = "", **options: Any) -> None:
    """Train with `options`, checkpoints in `kept`, and die at step `kill`."""

    def on_step(rows: Sequence[TrainingRow]) -> None:
        if rows[0].step == kill:
            os._exit(KILLED)

    held = _note_weights()
    checkpoints = Checkpoints(Path(kept), "this", seconds=0) if kept else None
    policy, log = _train(folder, micro_pairs=2, on_step=on_step, checkpoints=checkpoints, **options)
    rank = os.environ["RANK"]
    (out / f"{rank}.json").write_text(json.dumps({"log": [r.row() for r in log], "held": held[0]}))
    if rank == "0" or not options.get("sharded"):  # who has all of them
        torch.save(_weights(policy), out / f"{rank}.pt")


def _note_weights() -> list[int]:
    """Where the numbers of the model that this process holds will stand."""
    held: list[int] = []
    place = Distribution.place

    def noted(self: Distribution, model: Any, optimizer: Any) -> Any:
        placed = place(self, model, optimizer)
        weights = [w.to_local() if isinstance(w, DTensor) else w for w in model.parameters()]
        held.append(sum(weight.numel() for weight in weights))
        return placed

    Distribution.place = noted  # type: ignore[method-assign]
    return held


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]), **json.loads(sys.argv[3]))
