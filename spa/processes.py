"""Several processes of one training on this machine, by torch's own launcher.

The stage that is asked for starts itself again, once for each process; the first of them alone
logs and writes. Every process knows its place from the launcher's environment, RANK and
WORLD_SIZE.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from spa.errors import TrainingError


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
