"""A reward model as annotator: a sequence classifier with one output."""

import math
from collections.abc import Sequence

from spa.annotation.annotator import Answer, Comparison
from spa.models import RewardModel
from spa.records import Message


class RewardModelAnnotator:
    """Prefers the answer of higher reward, by as much as Bradley and Terry would."""

    def __init__(self, model: RewardModel, *, token_budget: int) -> None:
        """Rate with `model`, at most `token_budget` tokens at once."""
        self._model = model
        self._token_budget = token_budget

    def prefer(self, comparisons: Sequence[Comparison]) -> list[float]:
        """See `Annotator.prefer`: sigma(reward of the second - reward of the first)."""
        rewards = self.rate(
            [(c.prompt, answer) for c in comparisons for answer in (c.first, c.second)]
        )
        return [
            0.5 * (1 + math.tanh((rewards[2 * i + 1] - rewards[2 * i]) / 2))
            for i in range(len(comparisons))
        ]

    def rate(self, answers: Sequence[tuple[Sequence[Message], Answer]]) -> list[float]:
        """See `Rater.rate`: the model's output for each conversation with its answer."""
        conversations: list[list[Message]] = [
            [*prompt, {"role": "assistant", "content": answer.text}] for prompt, answer in answers
        ]
        return self._model.rewards(conversations, token_budget=self._token_budget)
