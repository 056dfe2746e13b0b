"""What processes of their own do in tests; they import this file and little else."""

import os
import signal
import time
from pathlib import Path

from spa.errors import ModelError


def place(number: int, share: str) -> tuple[int, str, bool]:
    """What a process knows of itself, and that it is another one."""
    return number, share, os.getpid() != os.getppid()


def fail(number: int, share: str) -> None:
    """The second one meets what a user can mend."""
    if number == 1:
        raise ModelError(f"{share}: not found; wanted a model")


def die(number: int, share: str) -> None:
    """The second one is killed."""
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def write_and_sleep(number: int, share: str) -> None:
    """Say who it is in a file, and stay."""
    Path(share).write_text(str(os.getpid()))
    time.sleep(60)
