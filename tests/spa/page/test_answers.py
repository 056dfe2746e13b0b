"""Answers side by side: the same prompts for all policies, and what each verdict means."""

from pathlib import Path

import pytest

from spa.layout import Layout
from spa.page.answers import read_answers, read_lengths
from tests.finished_run import write_finished_run


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_finished_run(Layout(tmp_path))


def test_every_policy_answers_the_same_test_prompts_in_the_order_of_their_ids(
    layout: Layout,
) -> None:
    found = read_answers(layout, ["base", "1", "rival"], against="base")
    assert [prompt.prompt_id for prompt in found] == ["q0", "q1", "q2", "q3", "q4"]  # no q9
    first = found[0]
    assert [one.policy for one in first.answers] == ["base", "1", "rival"]
    assert [one.text for one in first.answers][:2] == ["base says an answer", "1 says an answer"]


def test_verdicts_in_words(layout: Layout) -> None:
    found = read_answers(layout, ["base", "1"], against="base")
    said = [prompt.answers[1].verdict for prompt in found]
    assert said == ["better", "better (80%)", "no verdict", "worse", "tie"]
    assert [prompt.answers[0].verdict for prompt in found] == [None] * 5
    assert found[0].reference is None


def test_against_a_reference_it_is_shown_and_the_base_has_verdicts_too(layout: Layout) -> None:
    found = read_answers(layout, ["base", "1"], against="reference")
    assert found[1].reference == "reference 1"
    assert [one.verdict for one in found[1].answers] == ["tie", "better (80%)"]


def test_lengths_are_characters_of_the_test_answers(layout: Layout) -> None:
    assert read_lengths(layout, ["0", "rival"]) == {"0": [16] * 5, "rival": [20] * 5}
