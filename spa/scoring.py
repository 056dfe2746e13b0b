"""Scoring passes over responses: which model reads what, one model in memory at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch

from spa.chunks import Chunks
from spa.compute import Compute
from spa.encoding import Encoder, TokenSequence
from spa.logprobs import score
from spa.models import Policy, load_encoder, load_policy, share_of
from spa.processes import run_shares
from spa.records import Response

CHECKED = 16
"""How many log-probabilities are computed again before all are trusted."""


def load_reader(folder: Path, compute: Compute, chunks: Chunks | None = None) -> Policy:
    """Load a policy to read answers with, in float32 on every device.

    In bfloat16 an answer's log-probability is off by up to half a nat (16 answers of 64 tokens,
    measured), which is as much as the rewards of an early round differ by.
    """
    return load_policy(folder, compute, dtype=torch.float32, chunks=chunks)


@dataclass(frozen=True)
class Reader:
    """A model folder that answers are read with, by as many processes as compute.yaml says.

    Attributes:
        folder: the model's.
        compute: where and how to compute.
        chunks: of the stage that asks; finished work is kept there.
        progress: name of the progress bar.
    """

    folder: Path
    compute: Compute
    chunks: Chunks | None = None
    progress: str | None = None

    def responses(self, responses: Sequence[Response]) -> list[float]:
        """Log-probability of each response: nats at temperature 1, summed."""
        return self.sequences(_sequences(load_encoder(self.folder), responses))

    def sequences(self, sequences: Sequence[TokenSequence]) -> list[float]:
        """Log-probability of each sequence's answer: nats at temperature 1, summed."""
        places = _shares(sequences, self.compute.processes)
        if len(places) < 2:
            return self._read(self.compute, sequences)
        shares = [[sequences[place] for place in own] for own in places]
        logps = chain.from_iterable(run_shares(self._read_share, shares))
        found = dict(zip(chain.from_iterable(places), logps, strict=True))
        return [found[place] for place in range(len(sequences))]

    def _read_share(self, number: int, sequences: Sequence[TokenSequence]) -> list[float]:
        return self._read(share_of(self.compute, number), sequences)

    def _read(self, compute: Compute, sequences: Sequence[TokenSequence]) -> list[float]:
        policy = load_reader(self.folder, compute, self.chunks)
        return answer_logps(
            policy, sequences, token_budget=compute.score_tokens, progress=self.progress
        )


def _shares(sequences: Sequence[TokenSequence], processes: int) -> list[list[int]]:
    """Places of the sequences for each process, answers to one prompt together, tokens alike."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, sequence in enumerate(sequences):
        groups.setdefault(tuple(sequence.prompt), []).append(place)
    shares: list[list[int]] = [[] for _ in range(min(processes, len(groups)))]
    loads = [0] * len(shares)
    for group in groups.values():
        least = loads.index(min(loads))
        shares[least] += group
        loads[least] += sum(len(sequences[place]) for place in group)
    return shares


def response_logps(
    policy: Policy, responses: Sequence[Response], *, token_budget: int, progress: str | None = None
) -> list[float]:
    """Log-probability of each response under `policy`: nats at temperature 1, summed."""
    sequences = _sequences(policy.encoder, responses)
    return answer_logps(policy, sequences, token_budget=token_budget, progress=progress)


def _sequences(encoder: Encoder, responses: Sequence[Response]) -> list[TokenSequence]:
    return [TokenSequence(encoder.prompt(r.prompt), list(r.token_ids)) for r in responses]


def answer_logps(
    policy: Policy,
    sequences: Sequence[TokenSequence],
    *,
    token_budget: int,
    progress: str | None = None,
) -> list[float]:
    """Log-probability of each sequence's answer under `policy`: nats at temperature 1, summed."""
    rows = score(
        policy.model, sequences, token_budget=token_budget, progress=progress, keep=policy.keep
    )
    return [math.fsum(row) for row in rows]


def largest_error(
    policy: Policy, responses: Sequence[Response], known: Sequence[float], *, token_budget: int
) -> float:
    """How far log-probabilities are from those of `policy`, at some answers spread over all.

    Args:
        policy: what reads the answers anew.
        responses: the answers.
        known: what is said to be their log-probabilities under `policy` (nats), in order.
        token_budget: tokens per forward pass.

    Returns:
        The largest difference, in nats.
    """
    probe = range(0, len(responses), max(1, len(responses) // CHECKED))
    again = response_logps(policy, [responses[i] for i in probe], token_budget=token_budget)
    return max((abs(known[i] - b) for i, b in zip(probe, again, strict=True)), default=0.0)


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
    error = largest_error(policy, responses, known, token_budget=compute.score_tokens)
    if error <= tolerance:
        return known, error
    del policy  # one model in memory at a time
    return Reader(folder, compute, chunks, "policy reads").responses(responses), error
