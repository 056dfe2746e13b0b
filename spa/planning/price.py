"""What the judge behind an endpoint is asked, and what it costs, by alpaca-eval's own prompts."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spa.alpaca_config import Asked
from spa.annotation.alpaca_eval import usd_per_token
from spa.annotators import AlpacaEval
from spa.leaderboard import ask_pairs
from spa.planning.lengths import CHARACTERS_A_TOKEN
from spa.planning.work import Tokens


class _Noted(Exception):
    """A prompt was made, and no answer is wanted."""


@dataclass(frozen=True)
class CallCost:
    """Of one call: tokens of question and answer at most, and its price, None where unknown."""

    tokens: Tokens
    usd_per_token: float | None

    def usd(self, calls: int, *, most: bool = False) -> float | None:
        """US dollars of some calls."""
        if self.usd_per_token is None:
            return None
        return calls * (self.tokens.most if most else self.tokens.expected) * self.usd_per_token


def call_cost(settings: AlpacaEval, root: Path, prompt: int, answer: Tokens) -> CallCost:
    """The cost of one comparison, its prompt made by alpaca-eval and sent nowhere.

    Args:
        settings: evaluate.alpaca_eval.
        root: the pipeline's folder, which a config may be relative to.
        prompt: tokens of a usual prompt.
        answer: tokens of an answer.

    Raises:
        AnnotationError: there is no such annotator.
    """
    made: list[tuple[Asked, int]] = []

    def note(chats: Any, asked: Asked) -> list[dict[str, Any]]:
        made.append((asked, sum(len(turn["content"]) for turn in chats[0])))
        raise _Noted

    pair = {"instruction": "", "output_1": "one", "output_2": "other"}
    with suppress(_Noted):
        ask_pairs(settings.config, root, [pair], note)
    [(asked, letters)] = made
    longest = int(asked.arguments.get("max_tokens") or 0)
    fixed = letters // CHARACTERS_A_TOKEN + longest + prompt
    tokens = Tokens(fixed + 2 * answer.expected, fixed + 2 * answer.most)
    return CallCost(tokens, usd_per_token(settings, asked, local=_local()))


def _local() -> bool:
    url = os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or ""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
