"""LoRA: a policy trained through low-rank adapters, which end merged into its weights.

The adapter off is the policy that training started from: SPA's reference, without a second model
in memory. After the last step the adapter is merged, so that every round's policy is a whole model
that any loader takes, and the next round's reference is that model and not the base by accident.
Source: LoRA, arXiv:2106.09685, as peft has it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from spa.errors import ModelError
from spa.params import Lora
from spa.seeds import derive_seed


class Adapter:
    """A low-rank adapter in a model's linear layers, the output layer's apart.

    Attributes:
        model: the model with its adapter: what is trained and called.
    """

    def __init__(self, model: Any, settings: Lora, *, seed: int, round: int) -> None:
        """Put an adapter into `model`, whose own weights are frozen; at first it changes nothing.

        Args:
            model: a transformers causal language model.
            settings: rank, scale and place of the adapter.
            seed: the pipeline's seed; with `round` it names the adapter's random beginning.
            round: the round that is trained.

        Raises:
            ModelError: peft is not installed, or no layer is named as `modules` says.
        """
        try:
            from peft import LoraConfig, get_peft_model
        except ImportError as error:
            raise ModelError(
                "train.lora: peft is not installed; wanted it; "
                "pip install 'spread-preference[lora]'"
            ) from error
        modules = settings.modules
        config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            target_modules=modules if isinstance(modules, str) else list(modules),
            lora_dropout=0.0,  # policy and reference must not differ by chance
            task_type="CAUSAL_LM",
        )
        with torch.random.fork_rng():
            torch.manual_seed(derive_seed(seed, "lora", round) % 2**63)
            try:
                self.model = get_peft_model(model, config)
            except ValueError as error:
                text = " ".join(str(error).split())
                raise ModelError(f"train.lora: found modules {modules!r}; {text}") from error
        self.model.eval()

    @contextmanager
    def off(self) -> Iterator[None]:
        """The model as it was before training."""
        with self.model.disable_adapter():
            yield

    def merge(self) -> None:
        """Add the adapter to the weights of the model it was put into, and take it out."""
        self.model.merge_and_unload()
