"""Losses and flags of a run against the authors' formulas, written out in numpy, pair by pair.

Two things differ on purpose from their code (they are faults there): confidences are of
single pairs, not means of micro-batches, and they are known before fifty were seen.
"""

import math

import numpy as np
import torch

from spa.extrapolation import extrapolated_logprobs
from spa.loss import dpo_margin, refined_loss
from spa.threshold import RollingThreshold

BETA, ALPHA, SHARE, WINDOW, MIX, VOCABULARY = 0.1, 0.1, 0.1, 50, 1.5, 17
STEPS, BATCH, TOKENS, GATE = 40, 4, 6, 8


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _answer_logp(logits: np.ndarray, tokens: np.ndarray) -> float:
    return float(sum(_log_softmax(logits)[t, token] for t, token in enumerate(tokens)))


def _theirs(
    policy: np.ndarray, reference: np.ndarray, tokens: np.ndarray
) -> list[tuple[float, bool]]:
    """Loss and flag of every pair; arrays are (pair, chosen or rejected, token, vocabulary)."""
    seen: list[float] = []
    found = []
    for step in range(STEPS):
        tau = None
        recent = sorted(seen[-WINDOW:])
        if len(recent) * SHARE >= 1:
            place = SHARE * (len(recent) - 1)
            low = recent[math.floor(place)]
            tau = low + (place - math.floor(place)) * (recent[math.ceil(place)] - low)
        now = []
        for pair in range(step * BATCH, (step + 1) * BATCH):
            logits = policy[pair], reference[pair]
            mixed = MIX * logits[0] + (1 - MIX) * logits[1]
            chosen, rejected = (
                [_answer_logp(source[side], tokens[pair, side]) for source in (*logits, mixed)]
                for side in (0, 1)
            )
            delta = (chosen[0] - rejected[0]) - (chosen[1] - rejected[1])
            simulated = (chosen[2] - rejected[2]) - (chosen[1] - rejected[1])
            confidence = 1 / (1 + math.exp(-BETA * simulated))
            flagged = tau is not None and confidence < tau
            soft = ALPHA if flagged and step >= GATE else 0.0
            probability = 1 / (1 + math.exp(-BETA * delta))
            loss = -(1 - soft) * math.log(probability) - soft * math.log(1 - probability)
            found.append((loss, flagged))
            now.append(confidence)
        seen += now
    return found


def _ours(
    policy: torch.Tensor, reference: torch.Tensor, tokens: torch.Tensor
) -> list[tuple[float, bool]]:
    threshold = RollingThreshold(share=SHARE, window=WINDOW)
    found = []
    for step in range(STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        ours, theirs, ids = policy[rows], reference[rows], tokens[rows]
        plain = torch.log_softmax(ours, -1).gather(-1, ids[..., None]).squeeze(-1).sum(-1)
        start = torch.log_softmax(theirs, -1).gather(-1, ids[..., None]).squeeze(-1).sum(-1)
        mixed = extrapolated_logprobs(ours, theirs, ids, lambda_=MIX - 1).sum(-1)
        margin, simulated = (
            dpo_margin(logps[:, 0], logps[:, 1], start[:, 0], start[:, 1], beta=BETA)
            for logps in (plain, mixed)
        )
        confidence = torch.sigmoid(simulated)
        tau = threshold.value()
        flagged = confidence < (-math.inf if tau is None else tau)
        losses = refined_loss(margin, flagged & (step >= GATE), alpha=ALPHA)
        threshold.add(confidence.tolist())
        found += list(zip(losses.tolist(), flagged.tolist(), strict=True))
    return found


def test_losses_and_flags_equal_the_authors_formulas() -> None:
    numbers = np.random.default_rng(3)
    shape = (STEPS * BATCH, 2, TOKENS, VOCABULARY)
    reference = numbers.normal(0, 2, shape)
    policy = reference + numbers.normal(0, 1, shape)
    tokens = numbers.integers(VOCABULARY, size=shape[:3])
    theirs = _theirs(policy, reference, tokens)
    ours = _ours(torch.tensor(policy), torch.tensor(reference), torch.tensor(tokens))
    assert [flag for _, flag in ours] == [flag for _, flag in theirs]
    losses = np.array([loss for loss, _ in theirs])
    assert np.allclose([loss for loss, _ in ours], losses, atol=1e-6)
    assert 8 <= sum(flag for _, flag in theirs) <= 30  # of 160, a tenth of which is 16
