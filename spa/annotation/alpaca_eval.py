"""AlpacaEval's annotators: its prompts, orders and parsing, asked of any endpoint.

alpaca-eval makes the prompts and reads the answers; the calls are `endpoint.Endpoint`'s.
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from spa.alpaca_config import Asked
from spa.annotation.annotator import Comparison, as_instruction
from spa.annotation.budget import Budget
from spa.annotation.endpoint import Choice, Endpoint, Request
from spa.annotators import AlpacaEval
from spa.errors import AnnotationError
from spa.leaderboard import ask_pairs, price_per_token

_CHARACTERS_A_TOKEN = 4
_MARK, _SAFE_MARK = "<|", "< |"


class AlpacaEvalAnnotator:
    """Prefers what a model behind an endpoint calls better, weighted by its log-probabilities.

    Source: Dubois et al., arXiv:2404.04475 (AlpacaEval 2.0).
    """

    def __init__(
        self, settings: AlpacaEval, endpoint: Endpoint, *, root: Path, max_cost_usd: float | None
    ) -> None:
        """Ask at `endpoint`, for at most `max_cost_usd` over all calls of `prefer`.

        `settings.config` may be a folder below `root`.
        """
        self._settings = settings
        self._endpoint = endpoint
        self._root = root
        self._budget = Budget(max_cost_usd)

    def prefer(self, comparisons: Sequence[Comparison]) -> list[float]:
        """See `Annotator.prefer`; not a number where an answer names neither of the two.

        Says before the first call how many there are and what they cost.

        Raises:
            AnnotationError: they cost too much, the endpoint gives no log-probabilities, or it
                fails for good; answers that came are kept.
        """
        pairs = [
            {
                "instruction": _plain(as_instruction(c.prompt)),
                "output_1": _plain(c.first.text),
                "output_2": _plain(c.second.text),
            }
            for c in comparisons
        ]
        preferences = ask_pairs(self._settings.config, self._root, pairs, self._complete)
        return [math.nan if value is None else value - 1 for value in preferences]

    def _complete(self, chats: Sequence[list[dict[str, str]]], asked: Asked) -> list[Choice]:
        model = self._settings.model or asked.model
        requests: list[Request] = [
            {"model": model, "messages": chat, **asked.arguments} for chat in chats
        ]
        missing = [request for request in requests if self._endpoint.kept(request) is None]
        price = usd_per_token(self._settings, asked, local=self._endpoint.is_local)
        told = f"{len(missing)} calls of {model} at {self._endpoint.shown}"
        kept, tokens = len(requests) - len(missing), sum(map(_tokens, missing))
        self._budget.announce(told, tokens, price, kept)
        choices = self._endpoint.complete(
            requests,
            partial(self._check, asked.arguments),
            reserve=lambda request: self._budget.reserve(_tokens(request) * (price or 0.0)),
            settle=partial(self._settle, price or 0.0),
        )
        self._account(missing, price)
        return choices

    def _check(self, arguments: Mapping[str, Any], choice: Choice) -> None:
        lacks = None
        if arguments.get("logprobs") and not _has_logprobs(choice):
            lacks = "log-probabilities; wanted top_logprobs, which"
        elif arguments.get("tool_choice") and not choice["message"].get("tool_calls"):
            lacks = "calling the tool that it must; wanted its arguments, which"
        if lacks:
            raise AnnotationError(
                f"alpaca_eval: {self._endpoint.shown} answers without {lacks} "
                f"{self._settings.config} reads; name another server or another "
                "evaluate.alpaca_eval.config"
            )

    def _settle(self, price: float, request: Request, choice: Choice) -> None:
        estimate = _tokens(request)
        self._budget.settle(estimate * price, (choice["total_tokens"] or estimate) * price)

    def _account(self, requests: Sequence[Request], price: float | None) -> None:
        """Say how many tokens new answers took, by the endpoint's own count where it has one."""
        if not requests:
            return
        estimate = sum(map(_tokens, requests))
        answers = [self._endpoint.kept(request) or {} for request in requests]
        counts = [answer.get("total_tokens") or 0 for answer in answers]
        used = sum(counts)
        cost = "" if price is None else f", about {used * price:.2f} USD"
        silent = counts.count(0)
        rest = f"; of {silent} calls the endpoint tells none" if silent else ""
        print(
            f"alpaca_eval: {len(requests)} calls took {used} tokens ({estimate} estimated){cost}"
            f"{rest}",
            flush=True,
        )


def usd_per_token(settings: AlpacaEval, asked: Asked, *, local: bool) -> float | None:
    """US dollars a token: the settings' word, the config's, or alpaca-eval's; None where nobody
    says, and nothing on this machine."""
    if settings.usd_per_million_tokens is not None:
        return settings.usd_per_million_tokens / 1e6
    if local:
        return 0.0
    if settings.model is None and asked.usd_per_token is not None:
        return asked.usd_per_token
    return price_per_token(settings.model or asked.model)


def _plain(text: str) -> str:
    """A text that cannot end its turn in the prompt and begin another."""
    return text.replace(_MARK, _SAFE_MARK)


def _tokens(request: Request) -> int:
    characters = sum(len(message["content"]) for message in request["messages"])
    characters += len(json.dumps(request["tools"])) if "tools" in request else 0
    return characters // _CHARACTERS_A_TOKEN + int(request.get("max_tokens") or 0)


def _has_logprobs(choice: Choice) -> bool:
    content = (choice.get("logprobs") or {}).get("content") or [{}]
    return bool(content[0].get("top_logprobs"))
