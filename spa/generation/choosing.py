"""Which engine samples: the one place that chooses."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import transformers

from spa.chunks import Chunks
from spa.compute import Compute
from spa.encoding import Encoder
from spa.generation.engine import Engine
from spa.generation.spread_engine import SpreadEngine
from spa.generation.transformers_engine import TransformersEngine
from spa.generation.vllm_engine import VllmEngine
from spa.generation.vllm_process import installed
from spa.models import (
    Policy,
    choose_dtype,
    choose_generate_batch,
    load_encoder,
    load_policy,
    load_stop_tokens,
    model_hash,
)
from spa.section import EngineName

_TRANSFORMERS = f"transformers {transformers.__version__}"


class Sampling(Protocol):
    """What params.yaml says of sampling, under `generate` and under `evaluate`."""

    @property
    def engine(self) -> EngineName: ...
    @property
    def temperature(self) -> float: ...
    @property
    def max_new_tokens(self) -> int: ...


@dataclass(frozen=True)
class Sampler:
    """A policy that can be sampled: an engine, and the encoder of its prompts and answers.

    `version` names what samples, such as `vllm 0.32.0`.
    """

    engine: Engine
    encoder: Encoder
    version: str


@contextmanager
def open_sampler(
    folder: Path, settings: Sampling, compute: Compute, chunks: Chunks
) -> Iterator[Sampler]:
    """Sample from the policy in a folder with the engine that params.yaml names.

    With vLLM the weights are not loaded into this process.

    Raises:
        ModelError: the folder cannot be read.
        EngineError: vLLM is not installed where compute.yaml says.
    """
    if settings.engine == "transformers" and compute.processes > 1:
        spread = SpreadEngine(
            folder, settings.temperature, settings.max_new_tokens, compute, chunks
        )
        yield Sampler(spread, load_encoder(folder), _TRANSFORMERS)
        return
    if settings.engine == "transformers":
        yield sampler_of(load_policy(folder, compute, chunks=chunks), settings, compute)
        return
    encoder, version = load_encoder(folder), installed(compute.vllm.interpreter)
    engine = VllmEngine(
        folder,
        compute,
        temperature=settings.temperature,
        max_new_tokens=settings.max_new_tokens,
        stop_tokens=load_stop_tokens(folder, encoder),
        keep=chunks.under(model_hash(folder), str(choose_dtype(compute)), version),
    )
    with closing(engine):
        yield Sampler(engine, encoder, version)


def sampler_of(policy: Policy, settings: Sampling, compute: Compute) -> Sampler:
    """Sample from a policy that is in memory, with transformers."""
    engine = TransformersEngine(
        policy,
        temperature=settings.temperature,
        max_new_tokens=settings.max_new_tokens,
        batch=choose_generate_batch(compute),
    )
    return Sampler(engine, policy.encoder, _TRANSFORMERS)
