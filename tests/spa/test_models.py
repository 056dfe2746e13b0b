"""Models on disk: what is refused, and amplifying one."""

import shutil
from pathlib import Path

import pytest
import torch

from spa.compute import Compute
from spa.errors import ModelError
from spa.models import (
    choose_generate_batch,
    choose_train_pairs,
    load_amplified,
    load_policy,
    load_stop_tokens,
)

CPU = Compute(device="cpu")


def test_pickled_weights_are_not_loaded(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"has no .safetensors file"):
        load_policy(tmp_path / "model", CPU)


def test_damaged_weights_are_one_clear_error(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded") as raised:
        load_policy(tmp_path / "model", CPU)
    assert "\n" not in str(raised.value)


def test_a_missing_policy_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found no such folder; wanted one that holds a model"):
        load_policy(tmp_path / "none", CPU)


def test_stop_tokens_are_known_without_the_weights(tiny_folder: Path, tmp_path: Path) -> None:
    policy = load_policy(tiny_folder, CPU)
    assert load_stop_tokens(tiny_folder, policy.encoder) == policy.stop_tokens
    shutil.copy(tiny_folder / "config.json", tmp_path)
    assert load_stop_tokens(tmp_path, policy.encoder) == policy.stop_tokens
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 7]}')
    assert load_stop_tokens(tmp_path, policy.encoder) == (policy.encoder.end_of_turn, 5, 7)


def test_amplifying_moves_along_the_line_from_base_to_policy(
    tiny_folder: Path, other_folder: Path
) -> None:
    base, policy = load_policy(tiny_folder, CPU).model, load_policy(other_folder, CPU).model
    for gamma in (0.0, 1.0, 3.0):
        amplified = load_amplified(tiny_folder, other_folder, gamma, CPU).model
        for a, b, p in zip(
            amplified.parameters(), base.parameters(), policy.parameters(), strict=True
        ):
            torch.testing.assert_close(a, b + gamma * (p - b), atol=1e-5, rtol=1e-4)


def test_batches_are_as_said_and_larger_on_a_cpu_where_they_are_not() -> None:
    said = Compute(device="cpu", generate_batch=3, train_pairs=2)
    assert (choose_generate_batch(said), choose_train_pairs(said)) == (3, 2)
    cpu, cuda = Compute(device="cpu"), Compute(device="cuda")
    assert choose_generate_batch(cpu) > choose_generate_batch(cuda)
    assert choose_train_pairs(cpu) > choose_train_pairs(cuda) == 1
