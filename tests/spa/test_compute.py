"""compute.yaml: what it may say, and what it says by itself."""

from pathlib import Path

import pytest

from spa.errors import ParamsError
from spa.param_files import load_compute


def test_options_of_vllm_change_no_answers(tmp_path: Path) -> None:
    file = tmp_path / "compute.yaml"
    file.write_text("vllm: {options: {max_model_len: 4096}}")
    assert load_compute(file).vllm.options == {"max_model_len": 4096}
    file.write_text("vllm: {options: {quantization: fp8, trust_remote_code: true}}")
    with pytest.raises(ParamsError, match=r"vllm.options: .*quantization, trust_remote_code"):
        load_compute(file)


def test_options_of_vllm_can_be_handed_on(tmp_path: Path) -> None:
    file = tmp_path / "compute.yaml"
    for value in ("2026-01-01", ".nan"):
        file.write_text(f"vllm: {{options: {{max_model_len: {value}}}}}\n")
        with pytest.raises(ParamsError, match=r"vllm\.options: .* wanted values that JSON has"):
            load_compute(file)


def test_shards_take_several_processes(tmp_path: Path) -> None:
    file = tmp_path / "compute.yaml"
    file.write_text("{processes: 2, shard: true}")
    assert load_compute(file).shard
    file.write_text("{shard: true, launcher: {command: srun torchrun, processes: 16}}")
    assert (load_compute(file).processes, load_compute(file).training_processes) == (1, 16)
    for command, named in (("torchrun 'a", "No closing quotation"), ("", "found none")):
        file.write_text(f'launcher: {{command: "{command}"}}')
        with pytest.raises(ParamsError, match=rf"launcher.command: .*{named}"):
            load_compute(file)
    file.write_text("launcher: {processes: 16}")
    with pytest.raises(ParamsError, match=r"launcher: .*wanted a command beside processes"):
        load_compute(file)
    file.write_text("shard: true")
    with pytest.raises(ParamsError, match=r"shard: found True, .*wanted processes of 2 or more"):
        load_compute(file)


def test_compute_is_found_out_where_nothing_is_said(tmp_path: Path) -> None:
    assert load_compute(tmp_path / "compute.yaml").device is None
    (tmp_path / "compute.yaml").write_text("generate_batch: 0\nfoo: 1")
    with pytest.raises(ParamsError, match=r"generate_batch: found 0.*foo: unknown key"):
        load_compute(tmp_path / "compute.yaml")


@pytest.mark.parametrize("device", ["foo", "meta", "cuda:x", "cuda:0", "cpu", "mps"])
def test_a_device_is_one_that_computes(tmp_path: Path, device: str) -> None:
    file = tmp_path / "compute.yaml"
    file.write_text(f"device: {device}\n")
    if device in ("cuda:0", "cpu", "mps"):
        assert load_compute(file).device == device
        return
    with pytest.raises(ParamsError, match=r"compute\.yaml: device"):
        load_compute(file)
