"""Any Python function as annotator, and what is said where it is none."""

from pathlib import Path

import pytest

from spa.annotation.annotator import Answer, Comparison
from spa.annotation.rubric_annotator import RubricAnnotator, load_rubric
from spa.errors import AnnotationError
from spa.params import Rubric
from spa.records import Message

PROMPT: list[Message] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Why does bread rise?"},
]
RULE = """
def longer(question, answer, finish_reason):
    assert question == "Why does bread rise?"
    return len(answer) if finish_reason == "stop" else 0

def broken(question, answer, finish_reason):
    return float("nan")

def of_two(question, answer):
    return len(answer)
"""


def test_a_function_of_the_users_own_compares_answers(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RULE)
    annotator = load_rubric(Rubric(file="mine.py", function="longer"), tmp_path)
    short, long, cut = Answer("Gas.", "stop"), Answer("Gas it is.", "stop"), Answer("It", "length")
    pairs = [(short, long), (long, short), (short, short), (long, cut)]
    found = annotator.prefer([Comparison(PROMPT, a, b) for a, b in pairs])
    assert found == [1.0, 0.0, 0.5, 0.0]
    assert annotator.rate([(PROMPT, long), (PROMPT, cut)]) == [10.0, 0.0]


@pytest.mark.parametrize(
    ("file", "function", "said"),
    [
        ("none.py", "longer", "found no Python file none.py"),
        ("mine.py", "shorter", "has no function 'shorter'"),
        ("mine.py", "of_two", "cannot be called with question, answer and finish_reason"),
        ("worse.py", "longer", "cannot be loaded: ZeroDivisionError"),
    ],
)
def test_a_function_that_cannot_be_had_is_one_clear_error(
    tmp_path: Path, file: str, function: str, said: str
) -> None:
    (tmp_path / "mine.py").write_text(RULE)
    (tmp_path / "worse.py").write_text("1 / 0")
    with pytest.raises(AnnotationError, match=said):
        load_rubric(Rubric(file=file, function=function), tmp_path)


def test_a_score_that_is_no_number_names_the_question(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RULE)
    annotator = load_rubric(Rubric(file="mine.py", function="broken"), tmp_path)
    with pytest.raises(AnnotationError, match=r"broken: found nan for an answer to 'Why does"):
        annotator.rate([(PROMPT, Answer("Gas.", "stop"))])
    with pytest.raises(AnnotationError, match="found 'high'"):
        RubricAnnotator(lambda *_: "high").rate([(PROMPT, Answer("Gas.", "stop"))])  # type: ignore[arg-type]
