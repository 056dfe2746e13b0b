"""How fast this machine is with this model: a few answers sampled, read and trained on.

The very code of the stages runs, at their batch sizes, with few tokens. Nothing is written.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import torch

from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.errors import ModelError
from spa.generation.engine import Request
from spa.generation.transformers_engine import TransformersEngine
from spa.logprobs import score
from spa.models import (
    Policy,
    choose_dtype,
    choose_generate_batch,
    choose_train_pairs,
    load_policy,
)
from spa.params import Train
from spa.planning.rates import Rates
from spa.scoring import load_reader
from spa.token_pairs import TokenPair
from spa.training import Trainer

T = TypeVar("T")
_NEW = 6
"""Tokens sampled per answer to measure by."""
_SIZES = (8, 32)
"""Answers sampled at once: two sizes tell what a batch costs and what each of its answers does
(on one CPU 105 and 200 tokens a second at 8 and 32, which foretell 271 at 256)."""
_PROMPT = 16
"""Tokens of the prompts sampled from; their reading is taken off."""
_IMPORTS = "import spa.training, spa.generation.transformers_engine, spa.tracking.stages, mlflow"


def measure_rates(
    base: Path, compute: Compute, train: Train, *, prompt: int, answer: int, budget: float = 4.0
) -> Rates:
    """Measure this machine with a model.

    Args:
        base: the model's folder.
        compute: how the work is done here.
        train: the settings of training; its batch is as small as one pass.
        prompt: tokens of a usual prompt.
        answer: tokens of a usual answer.
        budget: seconds after which no larger batch is read.

    Raises:
        ModelError: the model cannot be loaded, or it does not fit into memory.
    """
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", _IMPORTS], check=False, capture_output=True)
    imported = time.perf_counter() - begun
    try:
        policy, loading = _timed(lambda: load_policy(base, compute))
        light = read = _read(policy, compute, prompt, answer, budget)
        if policy.model.dtype != torch.float32:
            read = _read(load_reader(base, compute), compute, prompt, answer, budget)
        round, row = _sampled(policy, compute)
        trained = _trained(base, compute, train, prompt, answer)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(f"probe: {base} does not fit into memory") from error
    batch = choose_generate_batch(compute)
    cuda = policy.model.device.type == "cuda"
    cards, trainers = (compute.processes, compute.training_processes) if cuda else (1, 1)
    return Rates(round, row, batch, read, trained, imported + loading, light, cards, trainers)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun


def _text(policy: Policy, length: int, salt: int) -> list[int]:
    """Some tokens; those of different salts begin differently, so that no prefix is shared."""
    size = len(policy.encoder.tokenizer)
    return [(salt * 7919 + place * 104729) % size for place in range(1, max(1, length) + 1)]


def _sequences(policy: Policy, count: int, prompt: int, answer: int) -> list[TokenSequence]:
    return [
        TokenSequence(_text(policy, prompt, i), _text(policy, answer, i + count))
        for i in range(count)
    ]


def _read(policy: Policy, compute: Compute, prompt: int, answer: int, budget: float) -> float:
    """Seconds to read one token, of full batches where the budget allows."""
    length = max(2, prompt + answer)
    largest = max(1, compute.score_tokens // length)
    rate, spent = 0.0, 0.0
    for count in sorted({max(1, largest // 8), largest}):
        rows = _sequences(policy, count, prompt, answer)
        read = partial(score, policy.model, rows, token_budget=compute.score_tokens)
        _, seconds = _timed(read)
        rate, spent = seconds / (count * length), spent + seconds
        if spent + rate * largest * length > budget:
            break
    return rate


def _sampled(policy: Policy, compute: Compute) -> tuple[float, float]:
    """Seconds of one more token for a batch, and for each answer in it."""
    largest = choose_generate_batch(compute)
    small, large = min(_SIZES[0], largest), min(_SIZES[1], largest)
    few = _one_token(policy, small)
    if small == large:
        return few, 0.0
    row = max(0.0, _one_token(policy, large) - few) / (large - small)
    return max(0.0, few - small * row), row


def _one_token(policy: Policy, count: int) -> float:
    """Seconds of one more token for each of `count` answers, the prompts' reading taken off."""
    beyond = (policy.model.config.vocab_size,)  # no answer may end early
    never = Policy(policy.model, policy.encoder, beyond)
    requests = [Request(_text(policy, _PROMPT, i), i) for i in range(count)]
    one, several = (
        TransformersEngine(never, temperature=1.0, max_new_tokens=tokens, batch=count)
        for tokens in (1, 1 + _NEW)
    )
    one.complete(requests)  # what is done once only
    _, short = _timed(lambda: one.complete(requests))
    _, long = _timed(lambda: several.complete(requests))
    return max(1e-9, long - short) / _NEW


def _trained(base: Path, compute: Compute, train: Train, prompt: int, answer: int) -> float:
    """Seconds to train on one token: the second of two steps of one pass each."""
    micro = choose_train_pairs(compute)
    policy = load_policy(base, compute, dtype=torch.float32)
    settings = train.model_copy(
        update={"epochs": 1, "batch_size": micro, "lambda_": 0.0, "max_length": prompt + answer}
    )
    trainer = Trainer(
        policy.model,
        settings,
        seed=0,
        round=0,
        load_reference=lambda: policy.model,
        token_budget=compute.score_tokens,
        micro_pairs=micro,
        bfloat16=choose_dtype(compute) is torch.bfloat16,
    )
    rows = _sequences(policy, 4 * micro, prompt, answer)
    pairs = [TokenPair(str(i), rows[2 * i], rows[2 * i + 1], (0.0, 0.0)) for i in range(2 * micro)]
    ends: list[float] = []
    trainer.train(pairs, lambda _: ends.append(time.perf_counter()))
    return _last(ends) / (2 * micro * (prompt + answer))


def _last(ends: Sequence[float]) -> float:
    return [after - before for before, after in pairwise(ends)][-1]
