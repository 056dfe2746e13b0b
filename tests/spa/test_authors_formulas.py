"""A training run against the authors' formulas, written out in numpy, pair by pair.

Three things differ on purpose from their code (they are faults there): confidences are of
single pairs, not means of micro-batches, they are known before fifty were seen, and the
threshold is the value that one pair in ten falls below, whatever the window.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.models import load_policy
from spa.params import Train
from spa.records import TrainingRow
from spa.schedule import make_batches, make_plan
from spa.token_pairs import TokenPair
from spa.training import Trainer
from tests.spa.test_training import _pairs

BETA, ALPHA, SHARE, WINDOW, MIX = 0.1, 0.1, 0.1, 50, 1.5
SETTINGS = Train.model_validate({
    "beta": BETA, "alpha": ALPHA, "noise_share": SHARE, "noise_window": WINDOW, "warmup_gate": 0.35,
    "batch_size": 4, "epochs": 1, "learning_rate": 1e-30, "lambda": MIX - 1,
})  # fmt: skip
COUNT, SEED = 160, 7


def _logits(model: Any, sequence: TokenSequence) -> np.ndarray:
    """Of the answer's tokens, one after another, (tokens, vocabulary)."""
    ids = torch.tensor([[*sequence.prompt, *sequence.answer]])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0]
    return np.asarray(logits[len(sequence.prompt) - 1 : -1].numpy())


def _answer_logp(logits: np.ndarray, answer: list[int]) -> float:
    total = 0.0
    for row, token in zip(logits, answer, strict=True):
        total += row[token] - row.max() - math.log(np.exp(row - row.max()).sum())
    return total


class _Authors:
    """What their formulas make of pairs, under two models that stay as they are."""

    def __init__(self, policy: Path, reference: Path, pairs: list[TokenPair]) -> None:
        load = (load_policy(folder, Compute(device="cpu")) for folder in (policy, reference))
        self._models = [one.model.double() for one in load]
        self.known = {pair.pair_id: self._sides(pair) for pair in pairs}

    def _sides(self, pair: TokenPair) -> list[tuple[float, float, float]]:
        """Of chosen and rejected: log-probability by policy, reference and their mixture."""
        found = []
        for sequence in (pair.chosen, pair.rejected):
            ours, theirs = (_logits(model, sequence) for model in self._models)
            mixed = MIX * ours + (1 - MIX) * theirs
            answer = list(sequence.answer)
            one, two, both = (_answer_logp(logits, answer) for logits in (ours, theirs, mixed))
            found.append((one, two, both))
        return found

    def step(self, pair: TokenPair, tau: float | None, gate: bool) -> tuple[float, float, bool]:
        """Loss, confidence and flag of a pair."""
        chosen, rejected = self.known[pair.pair_id]
        delta = (chosen[0] - rejected[0]) - (chosen[1] - rejected[1])
        simulated = (chosen[2] - rejected[2]) - (chosen[1] - rejected[1])
        confidence = 1 / (1 + math.exp(-BETA * simulated))
        flagged = tau is not None and confidence < tau
        soft = ALPHA if flagged and gate else 0.0
        probability = 1 / (1 + math.exp(-BETA * delta))
        loss = -(1 - soft) * math.log(probability) - soft * math.log(1 - probability)
        return loss, confidence, flagged


def _tau(seen: list[float]) -> float | None:
    recent = sorted(seen[-WINDOW:])
    place = SHARE * (len(recent) + 1)
    if len(recent) * SHARE < 1:
        return None
    low = recent[math.floor(place) - 1]
    return low + (place - math.floor(place)) * (recent[math.floor(place)] - low)


def _run(policy: Path, reference: Path, authors: _Authors) -> list[TrainingRow]:
    """Of a run whose steps are too small to move the policy, and whose reference is another."""
    pairs = [
        replace(pair, reference=(chosen[1], rejected[1]))
        for pair in _pairs(COUNT)
        for chosen, rejected in [authors.known[pair.pair_id]]
    ]
    trainer = Trainer(
        load_policy(policy, Compute(device="cpu")).model,
        SETTINGS,
        seed=SEED,
        round=1,
        load_reference=lambda: load_policy(reference, Compute(device="cpu")).model,
        token_budget=256,
        micro_pairs=2,
    )
    return trainer.train(pairs, lambda rows: None)


def test_losses_and_flags_of_a_run_equal_the_authors_formulas(
    tiny_folder: Path, other_folder: Path
) -> None:
    pairs = _pairs(COUNT)
    authors = _Authors(tiny_folder, other_folder, pairs)
    plan = make_plan(COUNT, SETTINGS)
    seen: list[float] = []
    wanted: list[tuple[float, float, bool]] = []
    assert (plan.look, plan.gate) == (1, 14)
    for step, places in enumerate(make_batches(COUNT, SETTINGS, seed=SEED, round=1)):
        tau = _tau(seen)
        rows = [authors.step(pairs[place], tau, step >= plan.gate) for place in places]
        wanted += rows
        if step >= plan.look:
            seen += [confidence for _, confidence, _ in rows]
    log = _run(tiny_folder, other_folder, authors)
    assert [row.flagged for row in log] == [flagged for *_, flagged in wanted]
    assert np.allclose([row.loss for row in log], [loss for loss, *_ in wanted], atol=1e-5)
    ours, theirs = [row.confidence for row in log][4:], [sure for _, sure, _ in wanted][4:]
    assert np.allclose(ours, theirs, atol=1e-5)
    assert 0 < sum(row.refined for row in log) < sum(row.flagged for row in log)
    assert 8 <= sum(row.flagged for row in log) <= 30  # of 160, a tenth of which is 16
