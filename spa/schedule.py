"""When what happens in a training run: its steps, their pairs and their learning rates."""

import math
from dataclasses import dataclass

from spa.errors import TrainingError
from spa.params import Train
from spa.seeds import generator


@dataclass(frozen=True)
class Plan:
    """When what happens, in optimiser steps counted from 0.

    `gate` is the first step that may soften a label; from `look` on the detector works, so
    that its window is full at the gate.
    """

    steps: int
    gate: int
    look: int


def make_plan(pairs: int, settings: Train) -> Plan:
    """Steps of a training run: epochs * pairs / batch size, a last part batch left out.

    Raises:
        TrainingError: there are fewer pairs than one batch takes.
    """
    steps = settings.epochs * pairs // settings.batch_size
    if steps == 0:
        raise TrainingError(
            f"train: found {pairs} pairs in {settings.epochs} epochs; wanted at least one batch of "
            f"{settings.batch_size}; add pairs or lower train.batch_size"
        )
    gate = math.ceil(settings.warmup_gate * steps)
    return Plan(steps, gate, max(0, gate - math.ceil(settings.noise_window / settings.batch_size)))


def make_batches(pairs: int, settings: Train, *, seed: int, round: int) -> list[list[int]]:
    """Positions of the pairs of every step; each epoch is a permutation of its own."""
    order: list[int] = []
    for epoch in range(settings.epochs):
        order += generator(seed, "train", round, epoch).permutation(pairs).tolist()
    size = settings.batch_size
    return [order[s * size : (s + 1) * size] for s in range(make_plan(pairs, settings).steps)]


def rate_factor(step: int, steps: int, warmup_share: float) -> float:
    """Share of the learning rate at a step counted from 0: a linear rise, then a cosine to 0.

    The rise begins above 0, unlike transformers' own schedule, whose first step learns
    nothing: a whole tenth of a small round.
    """
    rise = math.ceil(warmup_share * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
