"""What a plan takes as it is told, where machine, model or data are not here."""

from dataclasses import dataclass
from pathlib import Path

from spa.compute import Compute
from spa.planning.cards import Card


@dataclass(frozen=True)
class Elsewhere:
    """What somebody says of a run that is to take place elsewhere; None is not said.

    Attributes:
        gpu: the card in place of this machine, whose hours are arithmetic then.
        gpus: how many there are, in place of compute.yaml's `processes`.
        config: the base's config.json, in place of the base.
        prompt, answer: mean lengths in tokens, in place of those measured.
    """

    gpu: Card | None = None
    gpus: int | None = None
    config: Path | None = None
    prompt: int | None = None
    answer: int | None = None

    def compute(self, here: Compute) -> Compute:
        """compute.yaml's settings there: with a GPU, and as many processes as there are."""
        if self.gpu is None:
            return here
        gpus = here.processes if self.gpus is None else self.gpus
        return here.model_copy(update={"device": "cuda:0", "processes": gpus})


HERE = Elsewhere()
"""Nothing is said: this machine, this model, these data."""
