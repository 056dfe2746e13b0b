"""A reward model as annotator: a sequence classifier with one output."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from spa.annotation.annotator import Answer, Comparison
from spa.compute import Compute
from spa.encoding import Encoder
from spa.errors import ModelError
from spa.models import load_classifier, load_encoder
from spa.records import Message

_NO_TOKEN = -1


@dataclass(frozen=True)
class RewardModel:
    """A sequence classifier with one output, which it gives to whole conversations."""

    model: Any
    encoder: Encoder

    @torch.no_grad()
    def rewards(
        self, conversations: Sequence[Sequence[Message]], *, token_budget: int
    ) -> list[float]:
        """The output for each conversation, in order.

        Only conversations of one length share a batch: classifiers differ in which token
        they read and what they take for padding, and without padding none can err.
        """
        ids = [self.encoder.conversation(turns) for turns in conversations]
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
    encoder = load_encoder(folder)
    model = load_classifier(folder, compute)
    if model.config.num_labels != 1:
        raise ModelError(
            f"{folder}: has {model.config.num_labels} outputs; wanted a reward model with one"
        )
    model.config.get_text_config().pad_token_id = _NO_TOKEN
    return RewardModel(model, encoder)


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


def _batched(items: Iterable[int], size: int) -> Iterator[tuple[int, ...]]:
    rest = iter(items)
    while part := tuple(islice(rest, size)):
        yield part
