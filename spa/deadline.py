"""How long others are waited for."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, ask: Callable[[], T]) -> T:
    """What `ask` returns; where it takes longer it is left to a thread that no exit waits for.

    Raises:
        TimeoutError: it did.
    """
    answers: SimpleQueue[tuple[T] | Exception] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((ask(),))
        except Exception as error:  # told to who asked
            answers.put(error)

    Thread(target=run, daemon=True).start()
    try:
        found = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer in {seconds:g} s") from None
    if isinstance(found, Exception):
        raise found
    return found[0]
