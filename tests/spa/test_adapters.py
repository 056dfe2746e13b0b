"""LoRA: the adapter off is the reference, and what it learnt ends in the policy's own weights."""

import builtins
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from spa.adapters import Adapter
from spa.checkpoints import Checkpoints
from spa.compute import Compute
from spa.errors import ModelError
from spa.margins import Margins
from spa.models import Policy, load_encoder, load_policy, save_policy
from spa.params import Lora, Train
from spa.records import TrainingRow
from spa.training import Trainer
from tests.spa.test_checkpoints import Killed, _kill_at
from tests.spa.test_training import SETTINGS, _pairs, _weights

CPU = Compute(device="cpu")
LORA: dict[str, Any] = {"rank": 4, "alpha": 8}
Step = Callable[[Sequence[TrainingRow]], None]


def _train(
    folder: Path,
    *,
    reference: Callable[[], Any] | None = None,
    checkpoints: Path | None = None,
    on_step: Step = lambda rows: None,
    lora: dict[str, Any] | None = LORA,
    seed: int = 1,
    **changes: Any,
) -> tuple[Policy, list[TrainingRow]]:
    policy = load_policy(folder, CPU)
    trainer = Trainer(
        policy.model,
        Train.model_validate({**SETTINGS, "lambda": 0.5, "lora": lora, **changes}),
        seed=seed,
        round=1,
        load_reference=reference or (lambda: pytest.fail("a second model was asked for")),
        token_budget=256,
        micro_pairs=4,
        checkpoints=Checkpoints(checkpoints, "this", seconds=0) if checkpoints else None,
    )
    return policy, trainer.train(_pairs(), on_step)


def _logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([[5, 6, 7, 8, 9]])).logits
    return logits


def test_an_adapter_changes_nothing_until_it_is_trained_and_off_it_is_the_model(
    tiny_folder: Path,
) -> None:
    policy = load_policy(tiny_folder, CPU)
    before, weights = _logits(policy.model), _weights(policy)
    adapter = Adapter(policy.model, Lora(**LORA), seed=1, round=1)
    assert torch.equal(_logits(adapter.model), before)
    names = [n for n, w in adapter.model.named_parameters() if w.requires_grad]
    assert len(names) == 2 * 2 * 7  # two factors in each of seven layers of two blocks
    for name, weight in adapter.model.named_parameters():
        if name in names:
            torch.nn.init.normal_(weight)
    changed = _logits(adapter.model)
    assert not torch.allclose(changed, before)
    with adapter.off():
        assert torch.equal(_logits(adapter.model), before)
    adapter.merge()
    torch.testing.assert_close(_logits(policy.model), changed, atol=1e-4, rtol=1e-4)
    assert _weights(policy).shape == weights.shape
    assert not torch.equal(_weights(policy), weights)


def test_training_starts_at_margin_zero_and_learns(tiny_folder: Path) -> None:
    policy, log = _train(tiny_folder, epochs=6)
    assert [row.margin for row in log if row.step == 0] == pytest.approx([0] * 4, abs=1e-5)
    assert log[0].loss == pytest.approx(math.log(2), abs=1e-5)
    assert log[-1].loss < log[0].loss
    assert all(weight.shape for weight in policy.model.parameters())


def test_the_reference_is_the_adapter_off_and_not_another_model(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run with a second model as reference has the same extrapolated margins."""
    _, ours = _train(tiny_folder)
    real = Margins._reference_logits

    def second(self: Margins, batch: Any) -> Any:
        adapter, self._adapter = self._adapter, None
        try:
            return real(self, batch)
        finally:
            self._adapter = adapter

    monkeypatch.setattr(Margins, "_reference_logits", second)
    _, theirs = _train(tiny_folder, reference=lambda: load_policy(tiny_folder, CPU).model)
    looked = [row.extrapolated_margin for row in theirs if row.extrapolated_margin is not None]
    assert looked
    assert [r.extrapolated_margin for r in ours if r.extrapolated_margin is not None] == (
        pytest.approx(looked, abs=1e-5)
    )


def test_the_next_rounds_reference_is_the_merged_policy(tiny_folder: Path, tmp_path: Path) -> None:
    policy, _ = _train(tiny_folder, epochs=6)
    save_policy(policy.model, load_encoder(tiny_folder).tokenizer, tmp_path / "policy")
    saved = load_policy(tmp_path / "policy", CPU)
    assert torch.equal(_logits(saved.model), _logits(policy.model))
    assert not torch.allclose(
        _logits(saved.model), _logits(load_policy(tiny_folder, CPU).model), atol=1e-3
    )
    _, log = _train(tmp_path / "policy")
    assert [row.margin for row in log if row.step == 0] == pytest.approx([0] * 4, abs=1e-5)


def test_every_setting_changes_the_policy_and_equal_ones_give_equal_bytes(
    tiny_folder: Path,
) -> None:
    first = _weights(_train(tiny_folder)[0])
    assert torch.equal(_weights(_train(tiny_folder)[0]), first)
    variants: list[dict[str, Any]] = [
        {"lora": {**LORA, "rank": 2}},
        {"lora": {**LORA, "alpha": 4}},
        {"lora": {**LORA, "modules": ["q_proj"]}},
        {"lora": None, "reference": lambda: load_policy(tiny_folder, CPU).model},
        {"seed": 2},
    ]
    for changes in variants:
        assert not torch.equal(_weights(_train(tiny_folder, **changes)[0]), first)


def test_killed_it_ends_the_same(tiny_folder: Path, tmp_path: Path) -> None:
    undisturbed, log = _train(tiny_folder)
    with pytest.raises(Killed):
        _train(tiny_folder, checkpoints=tmp_path, on_step=_kill_at(3))
    resumed, again = _train(tiny_folder, checkpoints=tmp_path)
    assert again == log
    assert torch.equal(_weights(resumed), _weights(undisturbed))


def test_what_is_missing_is_one_clear_error(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"train.lora: found modules \['nothing'\]"):
        _train(tiny_folder, lora={**LORA, "modules": ["nothing"]})
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "peft":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError, match=r"pip install 'spread-preference\[lora\]'"):
        _train(tiny_folder)
