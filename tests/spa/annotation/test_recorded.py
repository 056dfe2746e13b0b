"""Recorded annotations: looked up by question and answers, either way round, never guessed."""

from typing import Any

import pytest

from spa.annotation.annotator import Answer, Comparison
from spa.annotation.recorded import RecordedAnnotator
from spa.errors import AnnotationError


def _row(first: str, second: str, preference: float | None) -> dict[str, Any]:
    return {
        "instruction": "Why?",
        "output_1": first,
        "output_2": second,
        "preference": preference,
    }


def _comparison(first: str, second: str, question: str = "Why?") -> Comparison:
    turns: Any = [{"role": "user", "content": question}]
    return Comparison(turns, Answer(first, "stop"), Answer(second, "stop"))


ANNOTATOR = RecordedAnnotator([_row("a", "b", 1.75), _row("a", "c", None)], file="a.json")


def test_either_order_is_found_and_equal_answers_are_a_tie() -> None:
    comparisons = [_comparison("a", "b"), _comparison("b", "a"), _comparison("x", "x")]
    assert ANNOTATOR.prefer(comparisons) == [0.75, 0.25, 0.5]


def test_rows_that_say_differently_of_the_same_answers_are_refused() -> None:
    """Which one came last would decide. The same twice, or the answers turned, is no matter."""
    RecordedAnnotator([_row("a", "b", 2.0), _row("a", "b", 2.0), _row("b", "a", 2.0)], file="a")
    with pytest.raises(AnnotationError, match=r"a.json: found preferences 2 and 1 of the same"):
        RecordedAnnotator([_row("a", "b", 2.0), _row("a", "b", 1.0)], file="a.json")


@pytest.mark.parametrize(
    "missing", [_comparison("a", "c"), _comparison("a", "d"), _comparison("a", "b", "How?")]
)
def test_what_is_not_recorded_is_never_a_score(missing: Comparison) -> None:
    with pytest.raises(AnnotationError, match=r"a.json: 1 of 2 comparisons are not recorded"):
        ANNOTATOR.prefer([_comparison("a", "b"), missing])
