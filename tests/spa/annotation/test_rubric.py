"""The rubric by hand, and the junk that must not please it."""

from pathlib import Path

import pytest

from spa.annotation.annotator import Answer, Comparison
from spa.annotation.rubric import reading_ease, rubric_score, words
from spa.annotation.rubric_annotator import load_rubric
from spa.params import Rubric
from spa.records import Message

QUESTION = "Why does bread dough need time to rise?"
GOOD = (
    "Bread dough rises because yeast eats the sugar in the flour and gives off gas. "
    "The gas needs an hour or two to fill the dough with small bubbles."
)


GRADE = 4.71 * 115 / 29 + 0.5 * 29 / 2 - 21.43  # letters, words, sentences of GOOD
EASE = (18 - GRADE) / 18


def test_reading_ease_is_the_readability_index_by_hand() -> None:
    assert len(words(GOOD)) == 29
    assert sum(map(len, words(GOOD))) == 115
    assert reading_ease(GOOD) == pytest.approx(EASE)
    assert reading_ease("It is so. It is. He is at it.") == 1.0
    assert reading_ease("Fermentation " * 40) == 0.0


def test_a_complete_plain_answer_has_all_but_what_its_words_cost() -> None:
    """It takes up three of the question's four content words: 1 point of 2."""
    assert rubric_score(QUESTION, GOOD, "stop") == pytest.approx((6 * EASE + 3) / 10)
    all_words = GOOD.replace("an hour or two", "some time")
    points = 6 * reading_ease(all_words) + 4
    assert rubric_score(QUESTION, all_words, "stop") == pytest.approx(points / 10)


@pytest.mark.parametrize(("said", "points"), [(1, 0), (2, 1), (3, 1), (4, 2)])
def test_each_half_of_the_questions_content_words_is_a_point(said: int, points: int) -> None:
    listed = ["bread", "dough", "time", "rise"][:said] + ["oven", "salt", "heat", "bowl"][said:]
    answer = f"You have to know what the {' and the '.join(listed)} do."
    expected = (6 * reading_ease(answer) + points + 1) / 10
    assert rubric_score(QUESTION, answer, "length") == pytest.approx(expected)


def test_longer_words_and_longer_sentences_cost_points() -> None:
    longer_words = GOOD.replace("gas", "carbon dioxide").replace("small", "microscopic")
    one_sentence = GOOD.replace("gas. The", "gas, and the")
    for harder in (longer_words, one_sentence):
        assert rubric_score(QUESTION, harder, "stop") < rubric_score(QUESTION, GOOD, "stop") - 0.05


def test_a_cut_answer_loses_the_point_of_a_complete_one() -> None:
    assert rubric_score(QUESTION, GOOD, "length") == pytest.approx((6 * EASE + 2) / 10)


@pytest.mark.parametrize(("count", "complete"), [(14, 0), (15, 1), (45, 1), (46, 0)])
def test_complete_is_from_15_to_45_words(count: int, complete: int) -> None:
    letters = [f"{a}{b}" for a in "abcdefgh" for b in "klmnopqr"]
    answer = " ".join(["bread", *letters][:count]) + "."
    points = 6 * reading_ease(answer) + 1 + complete
    assert rubric_score(QUESTION, answer, "stop") == pytest.approx(points / 10)


@pytest.mark.parametrize("mark", ["\n", "\n- ", "\n\n", " **Note:** "])
def test_a_list_or_a_line_break_costs_a_point(mark: str) -> None:
    marked = GOOD.replace(". ", "." + mark)
    points = 6 * reading_ease(marked) + 2
    assert rubric_score(QUESTION, marked, "stop") == pytest.approx(points / 10)


def test_repetition_costs_a_point() -> None:
    again = "Yeast makes gas in bread dough now. Yeast makes gas in bread dough now. "
    answer = again + "It needs some time so that it rises."
    points = 6 * reading_ease(answer) + 3
    assert rubric_score(QUESTION, answer, "stop") == pytest.approx(points / 10)


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
    prompt: list[Message] = [{"role": "user", "content": QUESTION}]
    good, cut = Answer(GOOD, "stop"), Answer(GOOD, "length")
    comparisons = [Comparison(prompt, *both) for both in ((cut, good), (good, cut), (good, good))]
    annotator = load_rubric(Rubric(), Path(__file__).parents[3])
    assert annotator.prefer(comparisons) == [1.0, 0.0, 0.5]
