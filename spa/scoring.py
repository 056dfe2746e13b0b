"""Scoring passes over responses: which model reads what, one model in memory at a time."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from spa.chunks import Chunks
from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.logprobs import score
from spa.models import Policy, load_policy
from spa.records import Response

CHECKED = 16
"""How many of the sampler's log-probabilities are computed again before all are trusted."""


def load_reader(folder: Path, compute: Compute, chunks: Chunks | None = None) -> Policy:
    """Load a policy to read answers with, in float32 on every device.

    In bfloat16 an answer's log-probability is off by up to half a nat (16 answers of 64 tokens,
    measured), which is as much as the rewards of an early round differ by.
    """
    return load_policy(folder, compute, dtype=torch.float32, chunks=chunks)


def response_logps(
    policy: Policy, responses: Sequence[Response], *, token_budget: int, progress: str | None = None
) -> list[float]:
    """Log-probability of each response under `policy`: nats at temperature 1, summed."""
    sequences = [
        TokenSequence(policy.encoder.prompt(r.prompt), list(r.token_ids)) for r in responses
    ]
    rows = score(
        policy.model, sequences, token_budget=token_budget, progress=progress, keep=policy.keep
    )
    return [math.fsum(row) for row in rows]


def sampler_logps(
    folder: Path,
    responses: Sequence[Response],
    compute: Compute,
    *,
    tolerance: float,
    chunks: Chunks | None = None,
) -> tuple[list[float], float]:
    """The sampler's own log-probabilities, if they hold; otherwise computed anew.

    Some answers, spread over all, are scored again by the model that sampled them. Where
    the largest difference exceeds `tolerance`, every answer is scored again.

    Args:
        folder: the model that sampled the responses.
        responses: the answers.
        compute: where and how to compute.
        tolerance: largest difference trusted, in nats per answer.
        chunks: of the stage that asks.

    Returns:
        One log-probability per response, and the largest difference found.
    """
    policy = load_reader(folder, compute, chunks)
    known = [math.fsum(r.token_logprobs) for r in responses]
    probe = range(0, len(responses), max(1, len(responses) // CHECKED))
    again = response_logps(policy, [responses[i] for i in probe], token_budget=compute.score_tokens)
    error = max((abs(known[i] - b) for i, b in zip(probe, again, strict=True)), default=0.0)
    if error <= tolerance:
        return known, error
    return (
        response_logps(
            policy, responses, token_budget=compute.score_tokens, progress="policy reads"
        ),
        error,
    )
