"""Models on disk and in memory. Only safetensors are loaded; a model's own code is never run."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
)
from transformers.utils import logging as transformers_logging

from spa import processes
from spa.chunks import Chunks, Keep, anew
from spa.compute import Compute
from spa.encoding import Encoder
from spa.errors import ModelError
from spa.files import hash_file

_LOCAL: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)
"""What the libraries raise for a model that cannot be read."""

if not sys.stderr.isatty():
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Policy:
    """A model in memory with its encoder.

    `stop_tokens` end an answer: the template's end-of-turn and the model's own eos tokens.
    `keep` gives what this model read or sampled before the stage was killed.
    """

    model: Any
    encoder: Encoder
    stop_tokens: tuple[int, ...]
    keep: Keep = anew


def choose_device(compute: Compute) -> torch.device:
    """The device asked for, or the best one found; of several processes each has its own."""
    found = torch.device(compute.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if found.type == "cuda" and found.index is None and processes.count() > 1:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return found


def share_of(compute: Compute, number: int) -> Compute:
    """What one of several processes computes with: on CUDA, a device of its own."""
    device = choose_device(compute)
    own = f"cuda:{number}" if device.type == "cuda" else compute.device
    return compute.model_copy(update={"device": own, "processes": 1})


def choose_dtype(compute: Compute) -> torch.dtype:
    """The precision asked for, or bfloat16 on CUDA and float32 elsewhere."""
    if compute.dtype:
        return torch.bfloat16 if compute.dtype == "bfloat16" else torch.float32
    return torch.bfloat16 if choose_device(compute).type == "cuda" else torch.float32


def choose_generate_batch(compute: Compute) -> int:
    """The answers sampled at once that are asked for, or 256 on a CPU and 64 elsewhere."""
    return compute.generate_batch or (256 if choose_device(compute).type == "cpu" else 64)


def choose_train_pairs(compute: Compute) -> int:
    """The pairs per pass asked for, or 4 on a CPU and 1 elsewhere."""
    return compute.train_pairs or (4 if choose_device(compute).type == "cpu" else 1)


def load_policy(
    folder: Path,
    compute: Compute,
    *,
    dtype: torch.dtype | None = None,
    chunks: Chunks | None = None,
) -> Policy:
    """Load a policy in evaluation mode; its finished work is kept in `chunks`, if given.

    Raises:
        ModelError: the folder is missing, holds no safetensors or cannot be read.
    """
    model = load_model(folder, compute, dtype=dtype)
    encoder = load_encoder(folder)
    keep = chunks.under(model_hash(folder), str(model.dtype)) if chunks else anew
    return Policy(model, encoder, _stop_tokens(model.generation_config, encoder), keep)


def load_model(folder: Path, compute: Compute, *, dtype: torch.dtype | None = None) -> Any:
    """Load the weights alone, in evaluation mode, for models that only read token ids.

    Raises:
        ModelError: as `load_policy`.
    """
    return _load_weights(AutoModelForCausalLM, folder, compute, dtype or choose_dtype(compute))


def _load_weights(kind: Any, folder: Path, compute: Compute, dtype: torch.dtype) -> Any:
    _check_folder(folder)
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder}: has no .safetensors file; other weight formats are not loaded")
    try:
        model = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, **_LOCAL)
    except UNREADABLE as error:
        raise ModelError(f"{folder}: cannot be loaded: {one_line(error)}") from error
    return model.eval().to(choose_device(compute))


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: found no such folder; wanted one that holds a model; correct the path, "
            "or run `dvc repro`, which writes those of a pipeline"
        )


def load_classifier(folder: Path, compute: Compute) -> Any:
    """Load a sequence classifier, in evaluation mode.

    Raises:
        ModelError: as `load_policy`.
    """
    kind = AutoModelForSequenceClassification
    return _load_weights(kind, folder, compute, choose_dtype(compute))


def load_encoder(folder: Path) -> Encoder:
    """Load the tokenizer of a model folder, with its chat template.

    Raises:
        ModelError: there is none, it cannot be read or it has no chat template.
    """
    return Encoder(_load_tokenizer(folder))


def load_config(folder: Path) -> Any:
    """Load a model folder's config, without weights or tokenizer.

    Raises:
        ModelError: there is none or it cannot be read.
    """
    try:
        return AutoConfig.from_pretrained(folder, **_LOCAL)
    except UNREADABLE as error:
        raise ModelError(f"{folder}: cannot be loaded: {one_line(error)}") from error


def load_vocabulary(folder: Path) -> dict[str, int]:
    """Every token of a model folder's tokenizer and its id; no chat template is needed.

    Raises:
        ModelError: there is no tokenizer or it cannot be read.
    """
    return dict(_load_tokenizer(folder).get_vocab())


def _load_tokenizer(folder: Path) -> Any:
    _check_folder(folder)
    try:
        return AutoTokenizer.from_pretrained(folder, **_LOCAL)
    except UNREADABLE as error:
        raise ModelError(f"{folder}: cannot be loaded: {one_line(error)}") from error


def load_stop_tokens(folder: Path, encoder: Encoder) -> tuple[int, ...]:
    """The stop tokens of a policy (see `Policy`) without its weights.

    Raises:
        ModelError: its config cannot be read.
    """
    try:
        generation: Any = GenerationConfig.from_pretrained(folder, local_files_only=True)
    except OSError:  # it has none of its own
        generation = GenerationConfig.from_model_config(load_config(folder))
    return _stop_tokens(generation, encoder)


def _stop_tokens(generation: Any, encoder: Encoder) -> tuple[int, ...]:
    eos = generation.eos_token_id
    own = eos if isinstance(eos, list) else [] if eos is None else [eos]
    return tuple(sorted({encoder.end_of_turn, *own}))


def save_policy(
    model: Any, tokenizer: Any, folder: Path, weights: dict[str, torch.Tensor] | None = None
) -> None:
    """Write weights as safetensors, with tokenizer and chat template, into an empty folder.

    Args:
        model: a transformers model.
        tokenizer: its own.
        folder: where to.
        weights: by name, where the model does not hold them all itself.
    """
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, which a group's shared cache cannot read


def model_hash(folder: Path) -> str:
    """Content id of a policy: SHA-256 over its weights, the first 16 hex digits."""
    weights = sorted(folder.glob("*.safetensors"))
    return (
        "".join(hash_file(file) for file in weights)[:16] if len(weights) == 1 else _joint(weights)
    )


def _joint(weights: list[Path]) -> str:
    import hashlib

    return hashlib.sha256("".join(map(hash_file, weights)).encode()).hexdigest()[:16]


def one_line(error: object) -> str:
    """A library's message as one line of at most 300 characters."""
    return " ".join(str(error).split())[:300]


@torch.no_grad()
def load_amplified(
    base: Path, policy: Path, gamma: float, compute: Compute, *, chunks: Chunks | None = None
) -> Policy:
    """A policy moved on along its own training, in weight space: base + gamma (policy - base).

    Gamma 1 is the policy itself, 0 the base.

    Source: ExPO, arXiv:2404.16792.
    """
    own = chunks.under(model_hash(base), gamma) if chunks else None
    amplified = load_policy(policy, compute, chunks=own)
    start = load_policy(base, compute)
    for weight, origin in zip(amplified.model.parameters(), start.model.parameters(), strict=True):
        weight.copy_(torch.lerp(origin, weight, gamma))
    return amplified
