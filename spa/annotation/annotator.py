"""What an annotator is: something that says how much it prefers one answer to another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from spa.records import FinishReason, Message

_SUREST = 1e-6


@dataclass(frozen=True)
class Answer:
    """An answer as annotators see it."""

    text: str
    finish_reason: FinishReason


@dataclass(frozen=True)
class Comparison:
    """Two answers to one prompt."""

    prompt: Sequence[Message]
    first: Answer
    second: Answer


class Annotator(Protocol):
    """Compares answers; the one interface for labels, win rates and gold."""

    def prefer(self, comparisons: Sequence[Comparison]) -> list[float]:
        """How much the second answer is preferred to the first: 0 to 1, 0.5 is a tie; not a
        number (nan) where the annotator was asked and named neither."""
        ...


@runtime_checkable
class Rater(Annotator, Protocol):
    """An annotator that has a number for each answer by itself."""

    def rate(self, answers: Sequence[tuple[Sequence[Message], Answer]]) -> list[float]:
        """How good each answer to its prompt is; only the order of two ratings has a meaning."""
        ...


def as_instruction(prompt: Sequence[Message]) -> str:
    """A prompt as the one text that AlpacaEval calls an instruction: what was said, without system
    turns; a conversation of several turns with the role before each."""
    spoken = [turn for turn in prompt if turn["role"] != "system"]
    return transcript(spoken or prompt)


def transcript(prompt: Sequence[Message]) -> str:
    """All turns as one text: the only one as it is, several behind their roles."""
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in prompt)


def compare(first: float, second: float) -> float:
    """The preference that follows from two ratings: 0, 0.5 (a tie) or 1."""
    return 0.5 if first == second else float(second > first)


def rate_by_contest(
    annotator: Annotator, questions: Sequence[tuple[Sequence[Message], Sequence[Answer]]]
) -> list[list[float]]:
    """Ratings of answers from an annotator that only compares: each against each other one.

    Args:
        annotator: what compares.
        questions: prompts and two or more answers to each.

    Returns:
        For every answer the mean log-odds (nats) of its being preferred to the others; the
        ratings of one prompt sum to 0.
    """
    contests = [
        (q, i, j)
        for q, (_, answers) in enumerate(questions)
        for i in range(len(answers))
        for j in range(i + 1, len(answers))
    ]
    wins = annotator.prefer(
        [
            Comparison(questions[q][0], questions[q][1][i], questions[q][1][j])
            for q, i, j in contests
        ]
    )
    ratings = [[0.0] * len(answers) for _, answers in questions]
    for (q, i, j), second in zip(contests, wins, strict=True):
        odds = log_odds(second) / (len(ratings[q]) - 1)
        ratings[q][i] -= odds
        ratings[q][j] += odds
    return ratings


def log_odds(probability: float) -> float:
    """log(p / (1 - p)) in nats, with p kept a millionth away from 0 and 1."""
    p = min(max(probability, _SUREST), 1 - _SUREST)
    return math.log(p) - math.log1p(-p)
