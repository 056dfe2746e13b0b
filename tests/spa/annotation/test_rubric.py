"""The rubric by hand, and the junk that must not please it."""

import pytest

from spa.annotation.annotator import Answer, Comparison, RubricAnnotator
from spa.annotation.rubric import rubric_score

QUESTION = "Why does bread dough need time to rise?"
GOOD = (
    "Bread dough rises because yeast eats the sugar in the flour and gives off gas. "
    "The gas needs an hour or two to fill the dough with small bubbles."
)


def test_a_short_complete_plain_answer_has_it_all() -> None:
    assert rubric_score(QUESTION, GOOD, "stop") == 1.0


def test_a_cut_answer_keeps_two_points_of_seven() -> None:
    assert rubric_score(QUESTION, GOOD, "length") == pytest.approx(2 / 7)


def test_a_curt_answer_has_less_than_a_cut_one() -> None:
    assert rubric_score(QUESTION, "Bread needs time for yeast.", "stop") == pytest.approx(1 / 7)
    assert rubric_score(QUESTION, "Bread needs time for yeast.", "length") == pytest.approx(2 / 7)


def test_too_many_words_cost_two_points() -> None:
    more = GOOD + " Warm air makes that faster, and a cold kitchen makes it slower, so bakers look"
    long = more + " at how big it has grown and not only at what their clock says."
    assert rubric_score(QUESTION, long, "stop") == pytest.approx(5 / 7)


def test_a_list_costs_a_point() -> None:
    listed = "- " + GOOD.replace(". ", ".\n- ")
    assert rubric_score(QUESTION, listed, "stop") == pytest.approx(6 / 7)


def test_repetition_costs_a_point() -> None:
    again = "Yeast makes gas in bread dough. Yeast makes gas in bread dough. "
    rest = "It simply needs some time to fill all of it, and warm kitchens help with that."
    assert rubric_score(QUESTION, again + rest, "stop") == pytest.approx(6 / 7)


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
