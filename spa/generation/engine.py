"""What an engine is: something that answers token prompts, one seed per answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Request:
    """One answer wanted: the prompt's token ids and the seed that owns all its draws."""

    prompt: list[int]
    seed: int


@dataclass(frozen=True)
class Completion:
    """One answer: its tokens, and their log-probabilities at temperature 1, in nats.

    A finished answer's last token is the stop token it ended with.
    """

    tokens: list[int]
    logprobs: list[float]
    finished: bool


class Engine(Protocol):
    """Samples answers; equal requests give equal answers, whatever else is in the call."""

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request, in order."""
        ...


def content_order(requests: Sequence[Request]) -> list[int]:
    """Places of requests by what they are: prompts of like length together, equal ones as well.

    So how a call is cut into pieces does not depend on how its requests came.
    """
    return sorted(
        range(len(requests)),
        key=lambda i: (len(requests[i].prompt), requests[i].prompt, requests[i].seed),
    )
