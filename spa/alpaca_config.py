"""A config of alpaca-eval's annotators, checked before a call is paid: can it be asked here?"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spa.errors import AnnotationError

_KEY = "evaluate.alpaca_eval.config"
_COMPLETIONS = "openai_completions"
_START = "<|im_start|>"
_OWN = {"client_kwargs", "num_procs", "n_retries", "batch_size", "is_strip", "requires_chatml"}
"""How alpaca-eval's client sends; this project's sends chats to the environment's endpoint."""


@dataclass(frozen=True)
class Asked:
    """What a config asks an endpoint for: arguments of a chat completion, without the messages.

    `usd_per_token` is the config's own word for the price, None where it has none.
    """

    model: str
    arguments: dict[str, Any]
    usd_per_token: float | None


def check_config(config: str, file: Path) -> None:
    """See that a file of configs asks OpenAI's chat completions, in ways that can be sent.

    Args:
        config: the name in params.yaml, for errors.
        file: its `configs.yaml`.

    Raises:
        AnnotationError: it cannot be read, or asks in another way.
    """
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise unreadable(config, error) from error
    if not isinstance(found, dict) or not all(isinstance(own, dict) for own in found.values()):
        raise unreadable(config, f"{file.name} is no mapping of annotators")
    for own in found.values():
        if fault := next(_faults(own), None):
            raise AnnotationError(
                f"{_KEY}: {config} {fault}; take weighted_alpaca_eval_gpt4_turbo or another config "
                "that asks OpenAI's chat completions"
            )


def check_template(config: str, template: str) -> None:
    """See that a prompt is a chat that shows both answers.

    Raises:
        AnnotationError: it is another text, as the name of a file that is not there.
    """
    if not (template.startswith(_START) and "{output_1}" in template and "{output_2}" in template):
        raise AnnotationError(
            f"{_KEY}: {config} has the prompt_template {' '.join(template.split())[:60]!r}; wanted "
            f"a chat ({_START}...) with {{output_1}} and {{output_2}}, its file named from the "
            "folder that holds the config's; mend the name"
        )


def unreadable(config: str, error: object) -> AnnotationError:
    """What is said of a config that is none."""
    return AnnotationError(
        f"{_KEY}: found {config!r}, which cannot be read ({' '.join(str(error).split())}); wanted "
        "one of alpaca-eval's evaluators_configs or a folder of the pipeline like them"
    )


def asked(settings: Mapping[str, Any]) -> Asked:
    """What the `completions_kwargs` of a checked config ask for."""
    arguments = {name: value for name, value in settings.items() if name not in _OWN}
    model, price = arguments.pop("model_name"), arguments.pop("price_per_token", None)
    return Asked(str(model), arguments, None if price is None else float(price))


def _faults(own: Mapping[str, Any]) -> Iterator[str]:
    if (completions := own.get("fn_completions", _COMPLETIONS)) != _COMPLETIONS:
        yield f"has fn_completions {completions}; wanted {_COMPLETIONS}"
        return
    settings = own.get("completions_kwargs") or {}
    if "model_name" not in settings:
        yield "has no completions_kwargs.model_name; wanted the model's name"
    if settings.get("requires_chatml") is False:
        yield "has completions_kwargs.requires_chatml: false; wanted a chat"
    for name in sorted(set(settings) - _OWN - {"model_name", "price_per_token"} - _sendable()):
        yield f"has completions_kwargs.{name}, which no chat completion takes"


def _sendable() -> set[str]:
    from openai.resources.chat.completions import Completions

    return set(inspect.signature(Completions.create).parameters) - {"self", "messages", "stream"}
