"""Several processes: one's place among those of a training, and shares of other work.

A process of a training knows its place from its launcher's environment (`spa.launching`): RANK and
WORLD_SIZE; the first alone logs and writes. Shares of sampling and reading, which need no other,
go to processes of this machine that are started anew, and come back.
"""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from spa.errors import EngineError

S = TypeVar("S")
R = TypeVar("R")


def is_first() -> bool:
    """Whether this process is the only one or the first: the one that logs and writes."""
    return os.environ.get("RANK", "0") == "0"


def count() -> int:
    """How many processes the launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def run_shares(task: Callable[[int, S], R], shares: Sequence[S]) -> list[R]:
    """What a task makes of each share, every one in a process of its own, all at once.

    Args:
        task: a function of a module, or a partial of one, of the process' number and its share.
        shares: what can be pickled, one for each process.

    Raises:
        SpaError: as `task` raises it.
        EngineError: a process ended without a word, as one does that is killed.
    """
    threads = max(1, (os.cpu_count() or 1) // len(shares))
    start = (os.getpid(), threads)
    context = multiprocessing.get_context("spawn")  # a forked process could use no GPU
    with ProcessPoolExecutor(len(shares), context, _attend, start) as pool:
        try:
            return list(pool.map(_run_share, [task] * len(shares), range(len(shares)), shares))
        except BrokenProcessPool as error:
            raise EngineError(
                f"one of {len(shares)} processes was killed; wanted all to end their work; look at "
                "memory, or lower processes in compute.yaml"
            ) from error


def _attend(parent: int, threads: int) -> None:
    """Set up a process that ends as soon as its parent has ended, however that came."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    end_with(parent)


def end_with(parent: int) -> None:
    """End this process as soon as its parent has ended, however that came."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_share(task: Callable[[int, S], R], number: int, share: S) -> R:
    if number:  # the first one's progress bar stands for all
        sys.stderr.isatty = lambda: False  # type: ignore[method-assign]
    return task(number, share)
