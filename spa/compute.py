"""The schema of compute.yaml: how the work is done on this machine."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from spa.section import Positive, Section

_NOT_OPTIONS = (
    "model tokenizer dtype seed tensor_parallel_size data_parallel_size trust_remote_code "
    "load_format generation_config logits_processors logprobs_mode skip_tokenizer_init runner "
    "quantization kv_cache_dtype hf_overrides speculative_config model_impl"
).split()


def _harmless(options: dict[str, Any]) -> dict[str, Any]:
    if taken := [name for name in options if name in _NOT_OPTIONS]:
        raise ValueError(
            f"wanted none of what the engine sets itself or what would change answers, found "
            f"{', '.join(taken)}"
        )
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"wanted values that JSON has, to hand them on: {error}") from error
    return options


class Vllm(Section):
    """`vllm`: where the engine `vllm` lives and how it is laid out (docs/scale.md)."""

    python: str | None = None
    """The Python of an environment with vLLM, so that its pins do not bind this one's; by
    default this one's."""
    tensor_parallel: Positive = 1
    """GPUs that one copy of the model is spread over."""
    data_parallel: Positive = 1
    """Copies of the model, each in a process of its own, that share the prompts out."""
    patience: Annotated[float, Field(gt=0)] = 1800.0
    """Seconds without a word, loading included, after which vLLM is given up."""
    options: Annotated[dict[str, Any], AfterValidator(_harmless)] = {}
    """More arguments of `vllm.LLM`, such as `gpu_memory_utilization`, `max_model_len` and
    `enforce_eager`."""

    @property
    def interpreter(self) -> str:
        """The Python that vLLM runs in."""
        return str(Path(self.python).expanduser()) if self.python else sys.executable


def _a_command(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"wanted a command as a shell reads it: {error}") from error
    if not words:
        raise ValueError("wanted a command, found none")
    return text


class Launcher(Section):
    """`launcher`: what starts the processes of a training instead of torch's launcher on this
    machine (docs/scale.md)."""

    command: Annotated[str, AfterValidator(_a_command)] | None = None
    """Gets `-m MODULE ARGUMENTS` behind it, such as `accelerate launch --config_file FILE` or,
    over several machines that share the folder, `srun ... torchrun ...`."""
    processes: Positive | None = None
    """How many it starts in all, where that is another number than `processes`."""

    @property
    def words(self) -> list[str]:
        """The command's words, `$NAME` in them as the environment has it."""
        return [os.path.expandvars(word) for word in shlex.split(self.command or "")]


class Compute(Section):
    """compute.yaml: how the work is done here; none of it changes an experiment's numbers
    beyond rounding, so DVC does not track it."""

    device: Annotated[str, Field(pattern=r"^(cpu|mps|(cuda|xpu)(:[0-9]+)?)$")] | None = None
    """`cpu`, `cuda`, `cuda:1`, `mps`; by default the best there is."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """Of sampling and training: by default float32 on a CPU and bfloat16 on CUDA. The judge's
    log-probabilities are float32 everywhere."""
    generate_batch: Positive | None = None
    """Answers sampled at once. By default 256 on a CPU (1.3 times as fast as 64 with
    the starter, measured) and 64, which needs less memory, elsewhere."""
    score_tokens: Positive = 4096
    """Tokens, padding included, scored at once."""
    endpoint_calls: Positive = 5
    """Calls to an annotator's endpoint at the same time."""
    endpoint_timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that an endpoint may take to answer one call, after which it is tried again."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 300.0
    """Seconds between two checkpoints of training; 0 keeps one after every step."""
    processes: Positive = 1
    """Processes of training, sampling and reading on this machine, each with a CUDA device of its
    own or a share of the CPU, and with the whole model (but for `shard`); pairs and prompts are
    shared out between them."""
    launcher: Launcher = Launcher()
    """For `spa train`."""
    shard: bool = False
    """Whether training shares weights, gradients and AdamW's moments out between the processes,
    each holding a part of every one (FSDP2), in place of each holding all: much less memory on
    each, more traffic between them. Not with `train.lora`."""
    train_pairs: Positive | None = None
    """Pairs per forward and backward pass; gradients add up to `train.batch_size`. By
    default 4 on a CPU (1.3 times as fast as 1 with the starter, measured) and 1, which needs
    the least memory, elsewhere."""
    recompute_activations: bool = False
    """Whether training keeps of each layer its input alone and computes the rest again in the
    backward pass: much less memory for long answers, about a third more time."""
    vllm: Vllm = Vllm()
    """For `generate.engine: vllm` and `evaluate.engine: vllm`."""

    @property
    def training_processes(self) -> int:
        """How many processes train together."""
        return self.launcher.processes or self.processes

    @field_validator("shard")
    @classmethod
    def _shards_need_processes(cls, shard: bool, others: ValidationInfo) -> bool:
        launcher = others.data.get("launcher", Launcher())
        if shard and (launcher.processes or others.data.get("processes")) == 1:
            raise ValueError("wanted processes of 2 or more beside it")
        return shard

    @field_validator("launcher")
    @classmethod
    def _counts_need_a_command(cls, launcher: Launcher) -> Launcher:
        if launcher.processes and launcher.command is None:
            raise ValueError("wanted a command beside processes")
        return launcher
