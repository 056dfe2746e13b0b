"""Places on the Hub whose commit is still open, `org/name@`, and asking the Hub for it.

DVC reads params.yaml before a stage runs, so that no stage may write into it: a commit is
resolved by a command of its own, and stages refuse an open one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spa.errors import ParamsError

_OPEN = re.compile(r"[\w.-]+/[\w.-]+@")
_SOURCES: dict[tuple[str, str], Literal["model", "dataset"]] = {
    ("base", "source"): "model",
    ("base", "policy"): "model",
    ("split", "source"): "dataset",
    ("split", "prompts"): "dataset",
    ("split", "instructions"): "dataset",
}
_PATIENCE = 20.0
"""Seconds that the Hub may take to answer."""


@dataclass(frozen=True)
class Pin:
    """A place on the Hub without a commit: the key that names it, and what it is."""

    key: str
    source: str
    kind: Literal["model", "dataset"]


def open_pins(raw: Any) -> list[Pin]:
    """All places in the content of params.yaml whose commit is open."""
    found = []
    for (section, name), kind in _SOURCES.items():
        body = raw.get(section) if isinstance(raw, Mapping) else None
        value = body.get(name) if isinstance(body, Mapping) else None
        if isinstance(value, str) and _OPEN.fullmatch(value):
            found.append(Pin(f"{section}.{name}", value, kind))
    return found


def resolve_pins(text: str, pins: list[Pin], ask: Callable[[Pin], str]) -> str:
    """params.yaml's text with the commits of `pins` written in; nothing else changes.

    Args:
        text: of params.yaml.
        pins: places that are open in it.
        ask: the commit of a place, 40 hex digits.

    Raises:
        ParamsError: as `ask`.
    """
    for pin in pins:
        place = re.compile(rf"(?<![\w./-]){re.escape(pin.source)}(?![\w.-])")
        commit = ask(pin)
        text = "\n".join(
            line if line.lstrip().startswith("#") else place.sub(pin.source + commit, line)
            for line in text.split("\n")
        )
    return text


def ask_hub(pin: Pin) -> str:
    """The newest commit of a model or dataset on the Hub.

    Raises:
        ParamsError: the Hub cannot be reached, or does not have or does not show it.
    """
    from huggingface_hub import HfApi

    name = pin.source.removesuffix("@")
    try:
        api = HfApi()
        found = (
            api.model_info(name, timeout=_PATIENCE)
            if pin.kind == "model"
            else api.dataset_info(name, timeout=_PATIENCE)
        )
    except Exception as error:  # of the Hub's client or of what it speaks through
        reason = " ".join(str(error).split())[:200]
        raise ParamsError(
            f"{pin.key}: the Hub gave no commit of {name} ({reason}); params.yaml keeps "
            f"{pin.source}; run `spa preset --resolve` where the Hub can be reached, or write "
            "the commit yourself"
        ) from error
    if not re.fullmatch(r"[0-9a-f]{40}", found.sha or ""):
        raise ParamsError(
            f"{pin.key}: the Hub returned {found.sha!r}; wanted a commit of 40 digits"
        )
    return str(found.sha)
