"""When memory runs out: the same work in smaller pieces, said and recorded, until one does not fit.

How work is cut into pieces moves results by rounding alone (`docs/reliability.md`).
"""

import gc
import sys

from spa.errors import ModelError

reduced: dict[str, int] = {}
"""What this process had to cut: keys of compute.yaml and what they came down to."""


def smaller(error: BaseException, size: int, key: str, *, pieces: int | None = None) -> int:
    """Half of `size`, where `error` says that memory ran out.

    Args:
        error: what the work ended with.
        size: what `key` of compute.yaml stood at.
        key: `generate_batch`, `score_tokens` or `train_pairs`.
        pieces: how many things were in work at once; `size` where it counts them.

    Raises:
        ModelError: there is nothing to halve.
        BaseException: `error` itself, where it says something else.
    """
    if not _is_out_of_memory(error):
        raise error
    if (size if pieces is None else pieces) <= 1 or size <= 1:
        raise ModelError(
            f"out of memory with {key} down to {size}, one at a time; wanted more memory, a "
            "smaller model, or shorter texts (max_new_tokens, train.max_length)"
        ) from error
    half = size // 2
    print(
        f"warning: out of memory with {key} {size}; going on with {half}; say {key}: {half} in "
        "compute.yaml to begin with it",
        file=sys.stderr,
    )
    reduced[key] = half
    _give_back()
    return half


def exhausted(error: BaseException) -> str | None:
    """One line where memory ran out at work that cannot be cut; None where `error` is another."""
    if not _is_out_of_memory(error):
        return None
    found = " ".join(str(error).split())[:150]
    return (
        f"out of memory{f' ({found})' if found else ''}; wanted more memory, a smaller model, or "
        "less at once: processes, train_pairs, score_tokens or generate_batch in compute.yaml, "
        "train.max_length; what was finished before is kept, and the same command goes on from it"
    )


def resumed(before: tuple[int, int] | None, size: int, key: str) -> int:
    """What work that goes on begins with: what it came down to, if it was asked for as much.

    Args:
        before: what `key` stood at when the work began, and what it came down to.
        size: what it stands at now.
        key: as for `smaller`.
    """
    if before is None or before[0] != size or before[1] == size:
        return size
    print(f"warning: {key} {size} was too much before; going on with {before[1]}", file=sys.stderr)
    reduced[key] = before[1]
    return before[1]


def _is_out_of_memory(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError):
        return isinstance(error, MemoryError)
    from accelerate.utils.memory import should_reduce_batch_size

    return bool(should_reduce_batch_size(error))


def _give_back() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
