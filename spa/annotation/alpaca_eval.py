"""AlpacaEval's annotators: its prompts, orders and parsing, asked of any endpoint.

alpaca-eval makes the prompts and reads the answers; the calls are `endpoint.Endpoint`'s.
"""

import math
from collections.abc import Sequence
from typing import Any

from spa.annotation.annotator import Comparison, as_instruction
from spa.annotation.endpoint import Choice, Endpoint, Request
from spa.errors import AnnotationError
from spa.leaderboard import ask_pairs, price_per_token
from spa.params import AlpacaEval

_CHARACTERS_A_TOKEN = 4
_MARK, _SAFE_MARK = "<|", "< |"


class AlpacaEvalAnnotator:
    """Prefers what a model behind an endpoint calls better, weighted by its log-probabilities.

    Source: Dubois et al., arXiv:2404.04475 (AlpacaEval 2.0).
    """

    def __init__(
        self, settings: AlpacaEval, endpoint: Endpoint, *, max_cost_usd: float | None
    ) -> None:
        """Ask at `endpoint`, for at most `max_cost_usd` a call of `prefer`."""
        self._settings = settings
        self._endpoint = endpoint
        self._max_cost = max_cost_usd

    def prefer(self, comparisons: Sequence[Comparison]) -> list[float]:
        """See `Annotator.prefer`; not a number where an answer names neither of the two.

        Says before the first call how many there are and what they cost.

        Raises:
            AnnotationError: they cost too much, the endpoint gives no log-probabilities, or it
                fails for good.
        """
        pairs = [
            {
                "instruction": _plain(as_instruction(c.prompt)),
                "output_1": _plain(c.first.text),
                "output_2": _plain(c.second.text),
            }
            for c in comparisons
        ]
        preferences = ask_pairs(self._settings.config, pairs, self._complete)
        return [math.nan if value is None else value - 1 for value in preferences]

    def _complete(
        self, prompts: Sequence[list[dict[str, str]]], settings: dict[str, Any]
    ) -> list[Choice]:
        settings = dict(settings)
        model = self._settings.model or settings.pop("model_name")
        settings.pop("model_name", None)
        requests: list[Request] = [
            {"model": model, "messages": messages, **settings} for messages in prompts
        ]
        self._announce(model, requests)
        wants_logprobs = bool(settings.get("logprobs"))

        def check(choice: Choice) -> None:
            if wants_logprobs and not _has_logprobs(choice):
                raise AnnotationError(
                    f"alpaca_eval: {self._endpoint.shown} answers without log-probabilities; "
                    f"wanted top_logprobs, which {self._settings.config} weighs by; name another server "
                    "or another evaluate.alpaca_eval.config"
                )

        return self._endpoint.complete(requests, check)

    def _announce(self, model: str, requests: Sequence[Request]) -> None:
        """Say what is about to be paid, and stop where it is too much."""
        missing = [request for request in requests if self._endpoint.kept(request) is None]
        tokens = sum(map(_tokens, missing))
        price = self._price(model)
        limit = self._max_cost
        cost = "price not known" if price is None else f"about {tokens * price:.2f} USD"
        print(
            f"alpaca_eval: {len(missing)} calls of {model} at {self._endpoint.shown}, about "
            f"{tokens} tokens, {cost}{'' if limit is None else f' (limit {limit:g} USD)'}; "
            f"{len(requests) - len(missing)} answers kept from before",
            flush=True,
        )
        if limit is None or not missing:
            return
        if price is None:
            raise AnnotationError(
                f"alpaca_eval: the price of {model} is not known, so that evaluate.max_cost_usd = "
                f"{limit:g} cannot be kept; say evaluate.alpaca_eval.usd_per_million_tokens"
            )
        if tokens * price > limit:
            raise AnnotationError(
                f"alpaca_eval: {len(missing)} calls cost about {tokens * price:.2f} USD, more than "
                f"evaluate.max_cost_usd = {limit:g}; nothing was paid; raise the limit or take "
                "fewer test prompts"
            )

    def _price(self, model: str) -> float | None:
        """US dollars a token, None where nobody says."""
        if self._settings.usd_per_million_tokens is not None:
            return self._settings.usd_per_million_tokens / 1e6
        return 0.0 if self._endpoint.is_local else price_per_token(model)


def _plain(text: str) -> str:
    """A text that cannot end its turn in the prompt and begin another."""
    return text.replace(_MARK, _SAFE_MARK)


def _tokens(request: Request) -> int:
    characters = sum(len(message["content"]) for message in request["messages"])
    return characters // _CHARACTERS_A_TOKEN + int(request.get("max_tokens") or 0)


def _has_logprobs(choice: Choice) -> bool:
    content = (choice.get("logprobs") or {}).get("content") or [{}]
    return bool(content[0].get("top_logprobs"))
