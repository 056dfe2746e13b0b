"""How large a model is, by its config and the headers of its weights; no weight is loaded."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

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
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return ModelSize(
        parameters=sum(map(_numbers, weights)),
        file_bytes=sum(file.stat().st_size for file in weights),
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
