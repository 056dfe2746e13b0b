"""The rubric by hand, and the junk that must not please it."""

import pytest

from spa.annotation.annotator import Answer, Comparison
from spa.annotation.rubric import rubric_score
from spa.annotation.rubric_annotator import RubricAnnotator

QUESTION = "Why does bread dough need time to rise?"
GOOD = (
    "Bread dough rises because yeast eats the sugar in the flour and gives off gas. "
    "The gas needs an hour or two to fill the dough with small bubbles."
)


def test_a_short_complete_plain_answer_has_all_but_a_point() -> None:
    assert rubric_score(QUESTION, GOOD, "stop") == pytest.approx(9 / 10)  # "time" is not said


@pytest.mark.parametrize(
    ("subject", "points"),
    [("bread", 0), ("bread dough", 1), ("bread dough rises", 1), ("bread dough rise time", 2)],
)
def test_more_of_the_questions_words_have_more_points(subject: str, points: int) -> None:
    answer = f"Yeast gives off gas, and that is all about {subject}."  # of four
    plain_fresh_and_sentences = 5
    assert rubric_score(QUESTION, answer, "length") == (points + plain_fresh_and_sentences) / 10


@pytest.mark.parametrize(("length", "points"), [(5, 0), (6, 2), (15, 2), (16, 1), (18, 1), (19, 0)])
def test_shorter_sentences_have_more_points_until_they_are_choppy(length: int, points: int) -> None:
    letters = [f"{a}{b}" for a in "abcdefgh" for b in "klmnopqr"]
    said = ["bread", *letters][: 2 * length]
    answer = " ".join(said[:length]) + ". " + " ".join(said[length:]) + "."
    plain_and_fresh = 3
    assert rubric_score(QUESTION, answer, "length") == (points + plain_and_fresh) / 10


def test_a_cut_answer_loses_the_points_of_a_finished_one() -> None:
    assert rubric_score(QUESTION, GOOD, "length") == pytest.approx(6 / 10)


def test_a_curt_answer_loses_the_point_of_its_length() -> None:
    curt = "Bread needs a lot of time for yeast."
    assert rubric_score(QUESTION, curt, "stop") == pytest.approx(8 / 10)
    enough = "Bread needs a lot of time for yeast, which is a slow and living thing."
    assert rubric_score(QUESTION, enough, "stop") == pytest.approx(9 / 10)


def test_too_many_words_cost_a_point() -> None:
    more = GOOD + " Warm air makes that faster, and a cold kitchen makes it slower. Bakers look"
    long = more + " at how big it has grown and not only at what clocks say."
    assert rubric_score(QUESTION, long, "stop") == pytest.approx(8 / 10)  # sentences of 13


@pytest.mark.parametrize("mark", ["\n", "\n- ", "\n\n", " **Note:** "])
def test_a_list_or_a_line_break_costs_two_points(mark: str) -> None:
    plain = rubric_score(QUESTION, GOOD, "stop")
    marked = rubric_score(QUESTION, GOOD.replace(". ", "." + mark), "stop")
    assert marked == pytest.approx(plain - 0.2)


def test_repetition_costs_a_point() -> None:
    again = "Yeast makes gas in bread dough now. Yeast makes gas in bread dough now. "
    rest = "It needs some time so that it rises."
    assert rubric_score(QUESTION, again + rest, "stop") == pytest.approx(9 / 10)


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "👉🎉⚡ 👉🎉⚡ 👉🎉⚡!",
        "bread bread bread bread bread bread bread bread bread bread bread bread bread bread.",
        "Bread dough bread dough rise time bread dough bread dough rise time bread dough time.",
        "Bread dough and yeast and gas and time without an end",
        "My favourite football team won again yesterday, and everyone in town was very happy.",
        "100000000000000000000000000000 bread dough rises 1000000000000000000000000.",
        "Yes it does.",
    ],
)
def test_junk_scores_lowest(junk: str) -> None:
    assert rubric_score(QUESTION, junk, "stop") == 0.0


def test_the_annotator_prefers_the_better_answer_and_calls_equals_a_tie() -> None:
    prompt = [{"role": "user", "content": QUESTION}]
    good, cut = Answer(GOOD, "stop"), Answer(GOOD, "length")
    comparisons = [Comparison(prompt, *both) for both in ((cut, good), (good, cut), (good, good))]
    assert RubricAnnotator(rubric_score).prefer(comparisons) == [1.0, 0.0, 0.5]
