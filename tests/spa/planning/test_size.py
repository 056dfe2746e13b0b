"""How large a model is, from its weights, its config or a preset."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaConfig, MistralConfig, PreTrainedConfig

from spa.errors import ModelError
from spa.layout import Layout
from spa.param_files import load_params
from spa.planning.size import base_folder, config_size, known_size, model_size
from tests.spa.planning.changed_params import changed


@pytest.mark.parametrize(
    ("source", "kind", "shape"),
    [
        ("alignment-handbook/zephyr-7b-sft-full@", MistralConfig, {"vocab_size": 32000}),
        ("meta-llama/Meta-Llama-3-8B-Instruct@", LlamaConfig, {"vocab_size": 128256}),
    ],
)
def test_a_presets_model_has_the_size_of_its_config(
    source: str, kind: type[PreTrainedConfig], shape: dict[str, Any], tmp_path: Path
) -> None:
    known = known_size(source)
    assert known is not None
    large: dict[str, Any] = {
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "dtype": "bfloat16",
        "max_position_embeddings": known.context,
    }  # fmt: skip
    kind(**shape, **large).save_pretrained(tmp_path)
    assert config_size(tmp_path / "config.json") == known


def test_a_config_says_what_the_weights_say(tiny_folder: Path, tmp_path: Path) -> None:
    said, found = config_size(tiny_folder / "config.json"), model_size(tiny_folder)
    assert replace(said, file_bytes=0) == replace(found, file_bytes=0)
    broken = tmp_path / "config.json"
    broken.write_text('{"model_type": "t5"}')
    with pytest.raises(ModelError, match="describes no model that can be sized"):
        config_size(broken)


def test_the_base_of_another_source_is_not_taken_for_this_one(
    pipeline: Layout, tiny_folder: Path, tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    shutil.copytree(tiny_folder, layout.policy("base"))
    params = changed(pipeline, base={"source": "org/name@" + "0" * 40})
    assert base_folder(layout, params) == layout.policy("base")
    recorded = {"params": {"params.yaml": {"base": {"source": "another"}}}}
    layout.dvc_lock.write_text(json.dumps({"stages": {"base": recorded}}), encoding="utf-8")
    assert base_folder(layout, params) is None
    assert base_folder(layout, load_params(pipeline.params)) == layout.root / tiny_folder
