"""A training is started again, once for each of its processes.

That is done here on this machine, or by a command of the user's, which may reach several machines:
`srun ... torchrun ...`, `accelerate launch --config_file ...`.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from spa.compute import Compute
from spa.errors import TrainingError
from spa.processes import count, end_with

if TYPE_CHECKING:
    import torch

_LAUNCHED, _MEETING, _PARENT = "SPA_LAUNCHED", "SPA_MEETING", "SPA_PARENT"
_PAUSE, _PATIENCE = 0.05, 5.0
"""Seconds between two looks at the processes, and those that one has to end."""


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


def join(device: "torch.device") -> None:
    """Meet the other processes that `launch` started on this machine, if it started this one.

    They meet in a file and talk over the loopback device, so that no other machine can reach
    them: what torch's own launcher meets by is a port on every address.
    """
    if (meeting := os.environ.get(_MEETING)) is None:
        return
    from torch import distributed

    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=f"file://{meeting}",
        rank=int(os.environ["RANK"]),
        world_size=count(),
    )
    end_with(int(os.environ[_PARENT]))


def _launch_here(module: str, arguments: Sequence[str], processes: int) -> None:
    """On this machine; what the processes other than the first say goes to a file."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        started = [
            stack.enter_context(_started(module, arguments, rank, processes, folder))
            for rank in range(processes)
        ]
        failed = _first_failure(started)
        if failed is None:
            return
        rank, code = failed
        if rank == 0:
            sys.exit(code if code > 0 else 1)
        raise TrainingError(
            f"process {rank} of {processes} ended with exit code {code}"
            f"{_last_words(_log(folder, rank))}; wanted 0; look at memory and devices, or lower "
            "processes in compute.yaml"
        )


@contextmanager
def _started(
    module: str, arguments: Sequence[str], rank: int, processes: int, folder: Path
) -> "Iterator[subprocess.Popen[bytes]]":
    """One process, which ends with this block at the latest."""
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    environment = {
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // processes)),
        "GLOO_SOCKET_IFNAME": loopback,
        "NCCL_SOCKET_IFNAME": loopback,
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        _MEETING: str(folder / "meeting"),
        _PARENT: str(os.getpid()),
    }
    with _log(folder, rank).open("wb") as log:
        out = None if rank == 0 else log
        command = [sys.executable, "-m", module, *arguments]
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _first_failure(started: "Sequence[subprocess.Popen[bytes]]") -> tuple[int, int] | None:
    """Rank and exit code of the process that failed first, once one has; None if all succeed.

    Of several that failed within a moment the one that was killed counts, then the first: the
    others fail when one is gone.
    """
    while True:
        codes = [process.poll() for process in started]
        failed = [(rank, code) for rank, code in enumerate(codes) if code]
        if failed:
            return min(failed, key=lambda found: (found[1] > 0, found[0]))
        if None not in codes:
            return None
        time.sleep(_PAUSE)


def _log(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.log"


def _last_words(log: Path) -> str:
    """What a process said was wrong, or else said at its end."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("error: ")] or lines
    return f" ({said[-1].removeprefix('error: ')[:500]})" if said else ""
