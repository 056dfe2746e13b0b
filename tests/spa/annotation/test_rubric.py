"""The rubric by hand, and the junk that must not please it."""

import pytest

from spa.annotation.annotator import Answer, Comparison, RubricAnnotator
from spa.annotation.rubric import rubric_score

QUESTION = "Why does bread dough need time to rise?"
GOOD = (
    "Bread dough rises because yeast eats the sugar in the flour and gives off gas. "
    "The gas needs an hour or two to fill the dough with small bubbles."
)


def test_a_short_complete_plain_answer_has_all_but_a_point() -> None:
    assert rubric_score(QUESTION, GOOD, "stop") == pytest.approx(9 / 10)  # 15 and 14 words


@pytest.mark.parametrize(
    ("length", "points"), [(5, 0), (6, 3), (12, 3), (13, 2), (15, 2), (16, 1), (18, 1), (19, 0)]
)
def test_shorter_sentences_have_more_points_until_they_are_choppy(length: int, points: int) -> None:
    letters = [f"{a}{b}" for a in "abcdefgh" for b in "klmnopqr"]
    said = ["bread", *letters][: 2 * length]
    answer = " ".join(said[:length]) + ". " + " ".join(said[length:]) + "."
    plain_and_fresh = 4
    assert rubric_score(QUESTION, answer, "length") == (points + plain_and_fresh) / 10


def test_a_cut_answer_loses_the_points_of_a_finished_one() -> None:
    assert rubric_score(QUESTION, GOOD, "length") == pytest.approx(6 / 10)


def test_a_curt_answer_has_less_than_a_cut_one() -> None:
    curt = "Bread needs a lot of time for yeast."
    assert rubric_score(QUESTION, curt, "stop") == pytest.approx(4 / 10)
    assert rubric_score(QUESTION, curt, "length") == pytest.approx(7 / 10)


def test_too_many_words_cost_a_point() -> None:
    more = GOOD + " Warm air makes that faster, and a cold kitchen makes it slower. Bakers look"
    long = more + " at how big it has grown and not only at what clocks say."
    assert rubric_score(QUESTION, long, "stop") == pytest.approx(8 / 10)  # sentences of 13


@pytest.mark.parametrize("mark", ["\n", "\n- ", "\n\n", " **Note:** "])
def test_a_list_or_a_line_break_costs_three_points(mark: str) -> None:
    plain = rubric_score(QUESTION, GOOD, "stop")
    marked = rubric_score(QUESTION, GOOD.replace(". ", "." + mark), "stop")
    assert marked == pytest.approx(plain - 0.3)


def test_repetition_costs_a_point() -> None:
    again = "Yeast makes gas in bread dough now. Yeast makes gas in bread dough now. "
    rest = "It simply needs some time to fill all of it."
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
    assert RubricAnnotator().prefer(comparisons) == [1.0, 0.0, 0.5]
