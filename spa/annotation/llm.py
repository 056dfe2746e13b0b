"""A causal language model as annotator: asked which of two answers is better, both ways round."""

import math
from collections.abc import Sequence

from spa.annotation.annotator import Answer, Comparison, transcript
from spa.errors import AnnotationError
from spa.logprobs import next_token_logprobs
from spa.models import Policy
from spa.records import Message

LETTERS = ("A", "B")
QUESTION = """Which of two answers to a request is better?

Request:
{request}

Answer A:
{first}

Answer B:
{second}

Say A or B, and nothing else."""


class LlmAnnotator:
    """Prefers what a language model calls better.

    Its preference is the probability of one letter against the other as the next token,
    averaged over both orders of the answers, so that a liking for a letter or a place
    cancels out.

    Source: the LLM-as-judge baseline of SPA, arXiv:2406.04412, section 5.1.
    """

    def __init__(self, policy: Policy, *, token_budget: int) -> None:
        """Ask `policy`, with at most `token_budget` tokens at once.

        Raises:
            AnnotationError: its tokenizer has no single token for a letter.
        """
        self._policy = policy
        self._token_budget = token_budget
        self._letters = [_letter_token(policy, letter) for letter in LETTERS]

    def prefer(self, comparisons: Sequence[Comparison]) -> list[float]:
        """See `Annotator.prefer`."""
        encoder = self._policy.encoder
        asked = [
            encoder.prompt([{"role": "user", "content": text}])
            for c in comparisons
            for text in (ask(c.prompt, c.first, c.second), ask(c.prompt, c.second, c.first))
        ]
        logps = next_token_logprobs(
            self._policy.model,
            asked,
            self._letters,
            token_budget=self._token_budget,
            progress="asking",
        )
        second = [_share(b, a) for a, b in logps]
        return [(second[2 * i] + 1 - second[2 * i + 1]) / 2 for i in range(len(comparisons))]


def ask(prompt: Sequence[Message], first: Answer, second: Answer) -> str:
    """The text that asks for a preference."""
    return QUESTION.format(request=transcript(prompt), first=first.text, second=second.text)


def _share(one: float, other: float) -> float:
    """exp(one) / (exp(one) + exp(other))."""
    return 0.5 * (1 + math.tanh((one - other) / 2))


def _letter_token(policy: Policy, letter: str) -> int:
    ids = policy.encoder.tokenizer(letter, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise AnnotationError(
            f"llm: the tokenizer cuts {letter!r} into {len(ids)} tokens; wanted one; this model "
            "cannot be asked for a letter; choose another method"
        )
    return int(ids[0])
