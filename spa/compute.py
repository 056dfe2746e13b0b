"""The schema of compute.yaml: how the work is done on this machine."""

from typing import Annotated, Literal

from pydantic import Field

from spa.section import Positive, Section


class Compute(Section):
    """compute.yaml: how the work is done here; none of it changes an experiment's numbers
    beyond rounding, so DVC does not track it."""

    device: str | None = None
    """`cpu`, `cuda`, `cuda:1`, `mps`; found where it is not said."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """Of sampling and training: float32 on CPU and bfloat16 on CUDA where it is not said. The
    judge's log-probabilities are float32's everywhere."""
    generate_batch: Positive | None = None
    """Answers sampled at once. Where it is not said, 256 on a CPU (1.3 times as fast as 64 with
    the starter, measured) and 64, which needs less memory, elsewhere."""
    score_tokens: Positive = 4096
    """Tokens, padding included, scored at once."""
    endpoint_calls: Positive = 5
    """Calls to an annotator's endpoint under way at once."""
    endpoint_timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that an endpoint may take to answer one call."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 300.0
    """Seconds between two checkpoints of training; 0 keeps one after every step."""
    processes: Positive = 1
    """Processes of `spa train` on this machine, each with a CUDA device of its own or a share of
    the CPU; a step's pairs are shared out between them."""
    train_pairs: Positive | None = None
    """Pairs per forward and backward pass; gradients add up to `train.batch_size`. Where it is
    not said, 4 on a CPU (1.3 times as fast as 1 with the starter, measured) and 1, which needs
    the least memory, elsewhere."""
