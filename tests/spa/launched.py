"""What tests start in two processes: each meets the other, then does as it is told.

python -m tests.spa.launched FOLDER TASK
"""

import os
import sys
import time
from pathlib import Path

import torch

from spa.distribution import Distribution
from spa.errors import ModelError


def main(folder: Path, task: str) -> None:
    rank = int(os.environ["RANK"])
    together = Distribution(torch.device("cpu"), bfloat16=False, sharded=False)
    met = together.gather([rank])
    if (task, rank) in (("fail", 1), ("fail first", 0)):
        raise ModelError("weights: not found")
    if task == "die" and rank == 1:
        os.kill(os.getpid(), 9)
    (folder / f"{rank}.txt").write_text(str(met))
    (folder / f"{rank}.pid").write_text(str(os.getpid()))
    if task != "meet":
        time.sleep(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
