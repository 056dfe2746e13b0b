"""The judge: direction of labels, and what each option changes."""

from typing import Any

import pytest

from spa.judging import make_pairs, score_responses
from spa.params import Judge
from spa.records import JudgedPair, Response, Score, content_hash, prompt_hash

POLICY = [-10.0, -12.0, -9.0]
BASE = [-11.0, -15.0, -9.5]
"""Rewards 1, 3 and 0.5: the second answer gained most over the base."""


def _responses(prompts: int = 1, samples: int = 3) -> list[Response]:
    responses = []
    for number in range(prompts):
        prompt: Any = [{"role": "user", "content": f"Why does bread number {number} rise?"}]
        for sample in range(samples):
            text = "Yeast makes gas in bread. " * (sample + 1)
            responses.append(
                Response(
                    response_id=content_hash(number, sample),
                    prompt_id=prompt_hash(prompt),
                    prompt=prompt,
                    sample=sample,
                    text=text,
                    token_ids=[1] * (sample + 1),
                    finish_reason="stop",
                    seed=1,
                    model="m",
                    logprob=-1.0,
                    token_logprobs=[-1.0],
                )
            )
    return responses


def _judge(**settings: Any) -> tuple[list[Score], list[JudgedPair]]:
    judge, responses = Judge(**settings), _responses()
    scores = score_responses(responses, POLICY, BASE, judge, seed=1, round=1)
    return scores, make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1)


def test_the_answer_that_gained_most_over_the_base_is_chosen() -> None:
    scores, [pair] = _judge()
    assert [score.reward for score in scores] == [1.0, 3.0, 0.5]
    assert (pair.chosen_id, pair.rejected_id) == (scores[1].response_id, scores[2].response_id)
    assert pair.margin == 2.5
    assert pair.probability == pytest.approx(0.562177)  # sigma(0.25)


def test_without_a_reference_the_likeliest_answer_is_chosen() -> None:
    for settings in ({"reference": "none"}, {"method": "likelihood"}):
        scores, [pair] = _judge(**settings)
        assert pair.chosen_id == scores[2].response_id
        assert pair.rejected_id == scores[1].response_id


def test_inverted_turns_the_label_round() -> None:
    _, [pair] = _judge()
    _, [inverted] = _judge(method="inverted")
    assert (pair.chosen_id, pair.rejected_id) == (inverted.rejected_id, inverted.chosen_id)


def test_random_labels_ignore_the_rewards() -> None:
    responses, judge = _responses(400, 2), Judge(method="random")
    policy = [float(-i % 2) for i in range(800)]
    scores = score_responses(responses, policy, [0.0] * 800, judge, seed=1, round=1)
    pairs = make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1)
    first = {r.response_id for r in responses if r.sample == 0}
    assert len(pairs) == 400
    assert sum(pair.chosen_id in first for pair in pairs) / 400 == pytest.approx(0.5, abs=0.08)


def test_a_length_penalty_prefers_shorter_answers() -> None:
    """The answers have 26, 52 and 78 characters; 0.2 nats each outweigh every reward."""
    scores, [pair] = _judge(length_penalty=0.2)
    assert pair.chosen_id == scores[0].response_id


def test_the_rubric_judges_by_itself() -> None:
    scores, _ = _judge(method="rubric")
    assert all(0 <= score.reward <= 1 for score in scores)


def test_one_answer_or_a_tie_makes_no_pair() -> None:
    judge, responses = Judge(), _responses(1, 1)
    scores = score_responses(responses, [-1.0], [-2.0], judge, seed=1, round=1)
    assert make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1) == []
    responses = _responses(1, 2)
    scores = score_responses(responses, [-1.0, -2.0], [-2.0, -3.0], judge, seed=1, round=1)
    assert make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1) == []


@pytest.mark.parametrize("samples", [2, 3, 5])
def test_any_number_of_answers_makes_one_pair_a_prompt(samples: int) -> None:
    responses = _responses(4, samples)
    policy = [float(i * 7 % 5) for i in range(4 * samples)]
    scores = score_responses(responses, policy, [0.0] * len(policy), Judge(), seed=1, round=1)
    pairs = make_pairs(responses, scores, Judge(), beta=0.1, seed=1, round=1)
    assert [pair.prompt_id for pair in pairs] == list(dict.fromkeys(r.prompt_id for r in responses))
