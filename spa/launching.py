"""A training is started again by a launcher, once for each of its processes.

That is torch's own on this machine, or a command of the user's, which may reach several machines:
`srun ... torchrun ...`, `accelerate launch --config_file ...`.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from spa.compute import Compute
from spa.errors import TrainingError
from spa.processes import count

_LAUNCHED = "SPA_LAUNCHED"


def launch(module: str, arguments: Sequence[str], compute: Compute) -> None:
    """Run a module in several processes and wait for them; one that fails ends all.

    Args:
        module: as in `python -m`.
        arguments: its command line.
        compute: says how many, and whose launcher starts them.

    Raises:
        TrainingError: a process other than the first failed; where the first did, it has said
            why, and this process ends with the same exit code.
    """
    if compute.launcher.command is None:
        _launch_here(module, arguments, compute.processes)
    else:
        _launch_by(compute.launcher.words, module, arguments)


def check_count(compute: Compute) -> bool:
    """Whether this is one of the processes that train, and not the one that starts them.

    Raises:
        TrainingError: a launcher started another number than compute.yaml says.
    """
    wanted, found = compute.training_processes, count()
    if found != wanted and (_LAUNCHED in os.environ or "WORLD_SIZE" in os.environ):
        raise TrainingError(
            f"train: started as {found} processes; wanted {wanted}, as compute.yaml says "
            "(processes, or launcher.processes); call `spa train` without a launcher, it starts "
            "them itself"
        )
    return found == wanted


def _launch_by(command: Sequence[str], module: str, arguments: Sequence[str]) -> None:
    """By a command of the user's, which gets `-m MODULE ARGUMENTS` behind it."""
    try:
        done = subprocess.run(
            [*command, "-m", module, *arguments], env={**os.environ, _LAUNCHED: "1"}, check=False
        )
    except OSError as error:
        raise TrainingError(
            f"compute.yaml: launcher.command: found {' '.join(command)!r}, which does not start: "
            f"{error}"
        ) from error
    if done.returncode:
        raise TrainingError(
            f"{command[0]}: ended with exit code {done.returncode}; wanted 0; "
            "see what it said above"
        )


def _launch_here(module: str, arguments: Sequence[str], processes: int) -> None:
    """By torch's own launcher, on this machine."""
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
