"""Training without kept activations: the same steps, and layers that are read twice."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.errors import ModelError
from spa.models import Policy, load_policy
from spa.params import Train
from spa.recomputation import Recomputation
from spa.records import TrainingRow
from spa.token_pairs import TokenPair
from spa.training import Trainer

SYSTEM = [7, 8, 9, 10, 11]
PAIRS = [
    TokenPair(
        f"pair-{i}",
        TokenSequence([*SYSTEM, 20 + i], [30 + i, 31, 32]),
        TokenSequence([*SYSTEM, 20 + i], [50 + i, 51]),
    )
    for i in range(8)
]


def _train(
    folder: Path, *, recompute: bool, **changes: Any
) -> tuple[Policy, list[TrainingRow], int]:
    """The policy, the log, and how often a layer's inside was read in training's own passes."""
    policy = load_policy(folder, Compute(device="cpu"))
    inside = policy.model.model.layers[0].mlp
    trainer = Trainer(
        policy.model,
        Train(**{"batch_size": 4, "learning_rate": 1e-3, "alpha": 0.1, "lambda": 0.5, **changes}),
        seed=1,
        round=1,
        load_reference=lambda: load_policy(folder, Compute(device="cpu")).model,
        token_budget=256,
        micro_pairs=2,
        recompute=recompute,
    )
    reads = 0

    def count(*_: object) -> None:
        nonlocal reads
        reads += torch.is_grad_enabled()

    inside.register_forward_pre_hook(count)
    return policy, trainer.train(PAIRS, lambda rows: None), reads


@pytest.mark.parametrize("changes", [{}, {"lora": {"rank": 4}}])
def test_recomputed_training_takes_the_same_steps(
    tiny_folder: Path, changes: dict[str, Any]
) -> None:
    kept, log, reads = _train(tiny_folder, recompute=False, **changes)
    less, again, more = _train(tiny_folder, recompute=True, **changes)
    passes = 4  # two steps of two passes
    assert reads == 2 * passes  # what all prompts begin with is read apart
    assert more == 2 * passes  # no prefix apart, and every layer once more in the backward pass
    for one, other in zip(log, again, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=1e-5)
        assert one.extrapolated_margin == pytest.approx(other.extrapolated_margin, abs=1e-5)
    for one, other in zip(kept.model.parameters(), less.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-3)
    assert not any(module.training for module in less.model.modules())


def test_less_is_kept_for_the_backward_pass(tiny: Policy) -> None:
    ids = torch.arange(5, 105).unsqueeze(0)

    def kept() -> int:
        """Numbers that autograd holds on to after a forward pass."""
        held = 0

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal held
            held += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            tiny.model(ids, use_cache=False)
        return held

    whole = kept()
    with Recomputation(tiny.model)():
        assert kept() < 0.5 * whole
    assert kept() == whole


def test_a_model_that_cannot_is_refused() -> None:
    with pytest.raises(ModelError, match="recompute_activations: Linear cannot do it"):
        Recomputation(nn.Linear(2, 2))
