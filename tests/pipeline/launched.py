"""What tests start in two processes: each meets the other, then does as it is told.

python -m tests.pipeline.launched FOLDER TASK
"""

import os
import sys
import time
import warnings
from pathlib import Path

import torch

from spa.distribution import Distribution
from spa.errors import ModelError


def main(folder: Path, task: str) -> None:
    rank = int(os.environ["RANK"])
    together = Distribution(torch.device("cpu"), bfloat16=False, sharded=False)
    met = together.gather([rank])
    if task == "fail at work":
        for _ in range(200):
            torch.distributed.all_reduce(torch.zeros(10), async_op=rank == 1)
    if (task, rank) in (("fail", 1), ("fail first", 0), ("fail at work", 1)):
        raise ModelError("weights: not found")
    if task == "fail and talk on" and rank == 1:
        sys.exit("error: weights: not found\na library says good-bye")
    if task == "die" and rank == 1:
        os.kill(os.getpid(), 9)
    told = _pass(together, float(rank)) if task == "pass" else met
    (folder / f"{rank}.txt").write_text(str(told))
    (folder / f"{rank}.pid").write_text(str(os.getpid()))
    if task not in ("meet", "pass"):
        time.sleep(60)


def _pass(together: Distribution, own: float) -> list[float]:
    """Buffers after a pass of a model whose one buffer is this process's own."""
    model = torch.nn.Linear(1, 1)
    model.register_buffer("own", torch.zeros(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        placed, _ = together.place(model, lambda weights: torch.optim.SGD(weights, lr=1.0))
    model.get_buffer("own").fill_(own)
    placed(torch.ones(1, 1))
    return [buffer.item() for buffer in model.buffers()]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
