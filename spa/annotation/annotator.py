"""What an annotator is: something that says how much it prefers one answer to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, assert_never

from spa.records import FinishReason, Message


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
        """How much the second answer is preferred to the first: 0 to 1, 0.5 is a tie."""
        ...


class RubricAnnotator:
    """Prefers the answer that the starter's rubric scores higher."""

    def prefer(self, comparisons: Sequence[Comparison]) -> list[float]:
        """See `Annotator.prefer`; equal scores are a tie."""
        return [
            _compare(self.score(c.prompt, c.first), self.score(c.prompt, c.second))
            for c in comparisons
        ]

    def score(self, prompt: Sequence[Message], answer: Answer) -> float:
        """The rubric's score of one answer, 0 to 1."""
        from spa.annotation.rubric import rubric_score

        return rubric_score(prompt[-1]["content"], answer.text, answer.finish_reason)


def _compare(first: float, second: float) -> float:
    return 0.5 if first == second else float(second > first)


def make_annotator(name: Literal["rubric"]) -> RubricAnnotator:
    """The annotator that params name."""
    match name:
        case "rubric":
            return RubricAnnotator()
        case _:
            assert_never(name)
