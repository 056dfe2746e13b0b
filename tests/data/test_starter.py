"""The data that ships: the starter's questions and pairs are what the README says of them."""

from pathlib import Path

import pytest

from spa.annotation.rubric import rubric_score
from spa.degeneracy import normalise
from spa.importing.pairs import read_pairs
from spa.importing.prompts import read_prompts
from spa.records import Pair, Prompt

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def questions() -> list[Prompt]:
    return read_prompts("data/raw/starter/prompts.jsonl", ROOT)


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return read_pairs("data/raw/starter/pairs.jsonl", ROOT).pairs


def test_questions_are_many_short_and_said_once(questions: list[Prompt]) -> None:
    texts = [question.prompt[-1]["content"] for question in questions]
    assert len(texts) >= 600
    assert len({normalise(text) for text in texts}) == len(texts)
    assert max(len(text.split()) for text in texts) <= 25


def test_pairs_are_over_the_questions_one_each(questions: list[Prompt], pairs: list[Pair]) -> None:
    assert len(pairs) >= 200
    assert len({pair.prompt_id for pair in pairs}) == len(pairs)
    assert {pair.prompt_id for pair in pairs} <= {question.prompt_id for question in questions}


def test_the_rubric_of_today_still_says_what_the_labels_say(pairs: list[Pair]) -> None:
    for pair in pairs:
        question = pair.prompt[-1]["content"]
        chosen = rubric_score(question, pair.chosen, pair.chosen_finish_reason)
        rejected = rubric_score(question, pair.rejected, pair.rejected_finish_reason)
        assert chosen - rejected > 0.2
