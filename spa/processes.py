"""Several processes on this machine: of one training, or with shares of work that needs no other.

A training is started again by torch's own launcher, once for each process; the first of them
alone logs and writes. Every process knows its place from the launcher's environment, RANK and
WORLD_SIZE. Shares of sampling and reading go to processes that are started anew, and come back.
"""

import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from spa.errors import EngineError, TrainingError

S = TypeVar("S")
R = TypeVar("R")


def is_first() -> bool:
    """Whether this process is the only one or the first: the one that logs and writes."""
    return os.environ.get("RANK", "0") == "0"


def count() -> int:
    """How many processes the launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launch(module: str, arguments: Sequence[str], processes: int) -> None:
    """Run a module in several processes and wait for them; one that fails ends all.

    Args:
        module: as in `python -m`.
        arguments: its command line.
        processes: how many.

    Raises:
        TrainingError: a process other than the first failed; where the first did, it has said
            why, and this process ends with the same exit code.
    """
    import logging

    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    with tempfile.TemporaryDirectory() as logs:
        quiet = {rank: Std.ALL for rank in range(1, processes)}
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id="spa",  # of this rendezvous alone, which is on a port of its own
            rdzv_backend="c10d",
            rdzv_endpoint="127.0.0.1:0",
            max_restarts=0,
            monitor_interval=0.1,
            logs_specs=DefaultLogsSpecs(log_dir=logs, redirects=quiet),
        )
        try:
            elastic_launch(config, sys.executable)("-m", module, *arguments)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if rank == 0:
                sys.exit(failure.exitcode if failure.exitcode > 0 else 1)
            raise TrainingError(
                f"process {rank} of {processes} ended with exit code {failure.exitcode}"
                f"{_last_words(Path(logs), rank)}; wanted 0; look at memory and devices, or lower "
                "processes in compute.yaml"
            ) from error


def _last_words(logs: Path, rank: int) -> str:
    """What a process said at its end."""
    for file in logs.rglob(f"{rank}/stderr.log"):
        lines = [line for line in file.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return f" ({lines[-1].removeprefix('error: ')[:300]})"
    return ""


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

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_share(task: Callable[[int, S], R], number: int, share: S) -> R:
    if number:  # the first one's progress bar stands for all
        sys.stderr.isatty = lambda: False  # type: ignore[method-assign]
    return task(number, share)
