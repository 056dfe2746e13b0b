"""How fast GPUs are that are not here: by data sheets, and the shares of them taken for granted.

Nothing of this is measured. Where the machine is here, a probe is (`spa.planning.probe`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from spa.compute import Compute
from spa.errors import ParamsError
from spa.planning.figures import StagePlan
from spa.planning.rates import Rates, timed
from spa.planning.size import ModelSize

_LAYER = 0.9e-3
"""Seconds that one more token of a batch takes in each layer beside reading its weights: what
transformers needs to start the layer's kernels, about."""
_FLOAT32 = 0.45
"""Share of the float32 peak that reading reaches."""
_BFLOAT16 = 0.4
"""Share of the bfloat16 peak that training reaches."""
_START = 60.0
"""Seconds until a stage begins: libraries, and weights from the disk."""


@dataclass(frozen=True)
class Card:
    """A GPU by its maker's data sheet (SXM, without sparsity).

    Attributes:
        name: as it is asked for.
        memory: bytes.
        bandwidth: of its memory, bytes a second.
        float32, bfloat16: peaks of matrix products, operations a second.
    """

    name: str
    memory: float
    bandwidth: float
    float32: float
    bfloat16: float


CARDS = {
    card.name: card
    for card in (
        Card("a100", 80e9, 2.04e12, 19.5e12, 312e12),
        Card("h100", 80e9, 3.35e12, 67e12, 989e12),
        Card("h200", 141e9, 4.8e12, 67e12, 989e12),
    )
}


def find_card(name: str) -> Card:
    """A card by its name.

    Raises:
        ParamsError: it is not known; names all that are.
    """
    if name.lower() not in CARDS:
        raise ParamsError(f"--gpu: found {name!r}; wanted one of {', '.join(CARDS)}")
    return CARDS[name.lower()]


def assumed_rates(card: Card, model: ModelSize, *, batch: int, gpus: int, trainers: int) -> Rates:
    """What the work takes on such cards.

    A token costs two operations a weight to read, and six to train on.

    Args:
        card: which.
        model: the base.
        batch: answers sampled at once.
        gpus: cards that sampling and reading are shared out between.
        trainers: cards that train together.
    """
    bfloat16 = 2 * model.parameters / (_BFLOAT16 * card.bfloat16)
    return Rates(
        round=model.layers * _LAYER + 2 * model.parameters / card.bandwidth,
        row=bfloat16,
        batch=batch,
        read=2 * model.parameters / (_FLOAT32 * card.float32),
        trained=3 * bfloat16,
        start=_START,
        light=bfloat16,
        processes=gpus,
        trainers=trainers,
    )


def reckoned(
    plans: Mapping[str, StagePlan],
    card: Card,
    model: ModelSize | None,
    compute: Compute,
    notes: list[str],
) -> dict[str, StagePlan]:
    """The plans with hours on such cards, as many as compute has processes.

    `notes` get what the hours rest on, and which stages a card cannot hold.
    """
    from spa.models import choose_generate_batch

    if model is None:
        return dict(plans)
    count = compute.processes
    notes.append(
        f"hours are arithmetic for {count} x {card.name}, not measured: one more token of a batch "
        f"takes {_LAYER * 1e3:g} ms a layer and the weights' reading, judges reach {_FLOAT32:.0%} "
        f"of the float32 peak, training {_BFLOAT16:.0%} of bfloat16's; models that annotate take "
        "one card"
    )
    large = [plan for plan in plans.values() if plan.to_run and (plan.memory or 0) > card.memory]
    if large:
        notes.append(
            f"more than the {card.memory / 1e9:.0f} GB of one {card.name}: "
            f"{', '.join(plan.name for plan in large)}; set train.lora, or shard (several cards) "
            "or smaller batches in compute.yaml"
        )
    batch = choose_generate_batch(compute)
    trainers = compute.training_processes
    return timed(plans, assumed_rates(card, model, batch=batch, gpus=count, trainers=trainers))
