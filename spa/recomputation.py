"""Activations of training computed again in the backward pass, in place of being kept.

Known as activation or gradient checkpointing: memory for time.
Source: Chen et al., "Training deep nets with sublinear memory cost", arXiv:1604.06174.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spa.errors import ModelError


class Recomputation:
    """Forward passes of a model whose layers keep their input alone.

    The layers of transformers do so in training mode only, in which dropout would make policy and
    reference differ by chance; so that mode is theirs alone, without what is inside them, and
    only while a pass lasts. A pass must not bring a cache: they would leave it out.
    """

    def __init__(self, model: Any) -> None:
        """Prepare `model`, a transformers causal language model; as yet nothing changes.

        Raises:
            ModelError: its architecture cannot do it.
        """
        try:
            model.activation_checkpointing_enable({"use_reentrant": False})
        except (AttributeError, ValueError) as error:
            raise ModelError(
                f"compute.yaml: recompute_activations: {type(model).__name__} cannot do it; leave "
                "it out"
            ) from error
        self._layers = [
            module for module in model.modules() if getattr(module, "gradient_checkpointing", False)
        ]

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Within this, forward passes keep no more of a layer than its input."""
        for layer in self._layers:
            layer.training = True
        try:
            yield
        finally:
            for layer in self._layers:
                layer.training = False
