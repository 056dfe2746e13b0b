"""The annotator that any Python function is: a preference that can be checked exactly."""

import importlib.util
import inspect
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from spa.annotation.annotator import Answer, Comparison, compare
from spa.errors import AnnotationError
from spa.params import Rubric
from spa.records import FinishReason, Message

Rule = Callable[[str, str, FinishReason], float]


class RubricAnnotator:
    """Prefers the answer that a rule scores higher."""

    def __init__(self, rule: Rule) -> None:
        """`rule` takes the question, the answer and its finish reason (`stop`, `length`)."""
        self._rule = rule

    def prefer(self, comparisons: Sequence[Comparison]) -> list[float]:
        """See `Annotator.prefer`; equal scores are a tie."""
        scores = self.rate([(c.prompt, a) for c in comparisons for a in (c.first, c.second)])
        return [compare(scores[2 * i], scores[2 * i + 1]) for i in range(len(comparisons))]

    def rate(self, answers: Sequence[tuple[Sequence[Message], Answer]]) -> list[float]:
        """See `Rater.rate`: the rule's scores.

        Raises:
            AnnotationError: the rule gives something else than a finite number.
        """
        return [self._score(prompt[-1]["content"], answer) for prompt, answer in answers]

    def _score(self, question: str, answer: Answer) -> float:
        score = self._rule(question, answer.text, answer.finish_reason)
        if not isinstance(score, int | float) or not math.isfinite(score):
            raise AnnotationError(
                f"rubric {getattr(self._rule, '__name__', 'rule')}: found {score!r} for an answer "
                f"to {question[:60]!r}; wanted a finite number; mend the function"
            )
        return float(score)


def load_rubric(rubric: Rubric, root: Path) -> RubricAnnotator:
    """The annotator of the function that params name.

    Raises:
        AnnotationError: the file cannot be loaded or has no such function.
    """
    file = root / rubric.file
    spec = importlib.util.spec_from_file_location(f"rubric_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise AnnotationError(
            f"rubric.file: found no Python file {rubric.file}; wanted one in the pipeline's "
            "folder; mend params.yaml"
        )
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise AnnotationError(f"{rubric.file}: cannot be loaded: {error!r}") from error
    rule = getattr(module, rubric.function, None)
    if not callable(rule):
        raise AnnotationError(
            f"{rubric.file}: has no function {rubric.function!r}; wanted "
            "(question, answer, finish_reason) -> number; mend rubric.function in params.yaml"
        )
    try:
        inspect.signature(rule).bind("question", "answer", "stop")
    except (TypeError, ValueError) as error:
        raise AnnotationError(
            f"{rubric.file}: {rubric.function} cannot be called with question, answer and "
            f"finish_reason ({error}); wanted a function of these three; mend it"
        ) from error
    return RubricAnnotator(rule)
