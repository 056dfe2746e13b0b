"""The judge: direction of labels, and what each option changes."""

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spa.annotation.annotator import Comparison
from spa.annotation.rubric import rubric_score
from spa.annotation.rubric_annotator import load_rubric
from spa.checks import run_checks
from spa.contract import DEFAULT_CHECKS
from spa.judging import (
    contest_ratings,
    length_penalty,
    log_ratio_rewards,
    make_pairs,
    make_scores,
    ratings,
)
from spa.params import Judge, Rubric
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


def _scores(
    responses: list[Response],
    policy: list[float],
    base: list[float],
    judge: Judge,
    reference: list[float] | None = None,
) -> list[Score]:
    rewards = log_ratio_rewards(
        responses, policy, base if reference is None else reference, judge, seed=1, round=1
    )
    penalty = length_penalty(responses, rewards, judge, seed=1, round=1)
    return make_scores(responses, policy, base, rewards, penalty=penalty)


def _judge(
    reference: list[float] | None = None, **settings: Any
) -> tuple[list[Score], list[JudgedPair]]:
    judge, responses = Judge(**settings), _responses()
    scores = _scores(responses, POLICY, BASE, judge, reference)
    return scores, make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1)


def test_the_answer_that_gained_most_over_the_base_is_chosen() -> None:
    scores, [pair] = _judge()
    assert [score.reward for score in scores] == [1.0, 3.0, 0.5]
    assert (pair.chosen_id, pair.rejected_id) == (scores[1].response_id, scores[2].response_id)
    assert pair.margin == 2.5
    assert pair.probability == pytest.approx(0.562177)  # sigma(0.25)


def test_without_a_reference_the_likeliest_answer_is_chosen() -> None:
    for reference, method in (([0.0] * 3, "implicit"), (None, "likelihood")):
        scores, [pair] = _judge(reference, method=method)
        assert pair.chosen_id == scores[2].response_id
        assert pair.rejected_id == scores[1].response_id


def test_another_reference_changes_the_reward_and_not_what_the_base_said() -> None:
    scores, [pair] = _judge([-10.0, -12.0, -10.0])  # rewards 0, 0 and 1
    assert [score.reward for score in scores] == [0.0, 0.0, 1.0]
    assert [score.base_logp for score in scores] == BASE
    assert pair.chosen_id == scores[2].response_id


def test_inverted_turns_the_label_round() -> None:
    _, [pair] = _judge()
    _, [inverted] = _judge(method="inverted")
    assert (pair.chosen_id, pair.rejected_id) == (inverted.rejected_id, inverted.chosen_id)


def test_random_labels_ignore_the_rewards() -> None:
    responses, judge = _responses(400, 2), Judge(method="random")
    policy = [float(-i % 2) for i in range(800)]
    scores = _scores(responses, policy, [0.0] * 800, judge)
    pairs = make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1)
    first = {r.response_id for r in responses if r.sample == 0}
    assert len(pairs) == 400
    assert sum(pair.chosen_id in first for pair in pairs) / 400 == pytest.approx(0.5, abs=0.08)


def test_a_length_penalty_prefers_shorter_answers() -> None:
    """The answers have 26, 52 and 78 characters; 0.2 nats each outweigh every reward."""
    scores, [pair] = _judge(length_penalty=0.2)
    assert pair.chosen_id == scores[0].response_id


def test_an_automatic_penalty_balances_the_lengths_of_chosen_and_rejected() -> None:
    """Longer answers gain 0.1 nats a character, by and large: so much has to be taken away."""
    responses = _responses(100, 2)
    noise = random.Random(0)
    policy = [0.1 * len(r.text) + noise.gauss(0, 1) for r in responses]
    gaps = []
    for setting in (0.0, "auto"):
        judge = Judge(length_penalty=setting)
        scores = _scores(responses, policy, [0.0] * 200, judge)
        pairs = make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1)
        gaps.append(sum(len(p.chosen) - len(p.rejected) for p in pairs) / len(pairs))
    assert gaps[0] > 10
    assert abs(gaps[1]) < 3
    rewards = log_ratio_rewards(responses, policy, [0.0] * 200, Judge(), seed=1, round=1)
    found = length_penalty(responses, rewards, Judge(length_penalty="auto"), seed=1, round=1)
    assert found == pytest.approx(0.1, abs=0.05)


def test_auto_balances_the_pairs_that_are_made_of_a_random_other_answer_too() -> None:
    responses = _responses(200, 4)
    noise = random.Random(1)
    policy = [0.1 * len(r.text) + noise.gauss(0, 1) for r in responses]
    judge = Judge(length_penalty="auto", pairing="best_random")
    scores = _scores(responses, policy, [0.0] * len(responses), judge)
    pairs = make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1)
    assert abs(sum(len(p.chosen) - len(p.rejected) for p in pairs) / len(pairs)) < 1


def test_the_rubric_judges_each_answer_by_itself() -> None:
    responses = _responses()
    expected = [rubric_score(r.prompt[-1]["content"], r.text, "stop") for r in responses]
    rubric = load_rubric(Rubric(), Path(__file__).parents[2])
    assert ratings(responses, rubric) == expected


class _Likes:
    """Prefers the second answer with the probability given for each pair of texts."""

    def __init__(self, odds: dict[tuple[str, str], float]) -> None:
        self._odds = odds

    def prefer(self, comparisons: Any) -> list[float]:
        assert all(isinstance(c, Comparison) for c in comparisons)
        return [self._odds[(c.first.text, c.second.text)] for c in comparisons]


def test_what_only_compares_rates_by_contest() -> None:
    """Log-odds: log 3 for b over a, log 9 for c over a, 0 between b and c; mean over two."""
    responses = [replace(r, text=t) for r, t in zip(_responses(), "abc", strict=True)]
    annotator = _Likes({("a", "b"): 0.75, ("a", "c"): 0.9, ("b", "c"): 0.5})
    found = contest_ratings(responses, annotator)
    assert found == pytest.approx([-math.log(27) / 2, math.log(3) / 2, math.log(9) / 2])
    assert contest_ratings(responses[:1], annotator) == [0.0]


def test_one_answer_or_a_tie_makes_no_pair() -> None:
    judge, responses = Judge(), _responses(1, 1)
    scores = _scores(responses, [-1.0], [-2.0], judge)
    assert make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1) == []
    responses = _responses(1, 2)
    scores = _scores(responses, [-1.0, -2.0], [-2.0, -3.0], judge)
    assert make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1) == []


@pytest.mark.parametrize("samples", [2, 3, 5])
def test_any_number_of_answers_makes_one_pair_a_prompt(samples: int) -> None:
    responses = _responses(4, samples)
    policy = [float(i * 7 % 5) for i in range(4 * samples)]
    scores = _scores(responses, policy, [0.0] * len(policy), Judge())
    pairs = make_pairs(responses, scores, Judge(), beta=0.1, seed=1, round=1)
    assert [pair.prompt_id for pair in pairs] == list(dict.fromkeys(r.prompt_id for r in responses))


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_finite_number_makes_a_pair_that_the_data_checks_drop(
    broken: float,
) -> None:
    judge, responses = Judge(length_penalty="auto"), _responses(prompts=2)
    scores = _scores(responses, [*POLICY, *POLICY[:2], broken], [*BASE, *BASE], judge)
    pairs = make_pairs(responses, scores, judge, beta=0.1, seed=1, round=1)
    assert len(pairs) == 2, "nothing is lost"
    outcome = run_checks(pairs, DEFAULT_CHECKS)
    assert outcome.kept == pairs[:1]
    assert outcome.counts["non_finite:margin"] == 1


class _Finished:
    """Rates an answer 1 if it finished."""

    def rate(self, answers: Any) -> list[float]:
        return [float(answer.finish_reason == "stop") for _, answer in answers]

    def prefer(self, comparisons: Any) -> list[float]:
        return [0.5 for _ in comparisons]


def test_how_an_answer_ended_goes_to_the_annotator_and_into_the_pair() -> None:
    whole, cut = _responses(1, 2)
    responses = [whole, replace(cut, finish_reason="length")]
    assert ratings(responses, _Finished()) == [1.0, 0.0]
    scores = make_scores(responses, [0.0, 0.0], [0.0, 0.0], [1.0, 3.0])
    [pair] = make_pairs(responses, scores, Judge(), beta=0.1, seed=1, round=1)
    assert (pair.chosen_id, pair.chosen_finish_reason) == (cut.response_id, "length")
    assert (pair.rejected_id, pair.rejected_finish_reason) == (whole.response_id, "stop")


def test_a_score_counts_tokens_and_not_words() -> None:
    """The answers have 5, 10 and 15 words."""
    scores, _ = _judge()
    assert [score.tokens for score in scores] == [1, 2, 3]


def test_random_rewards_are_others_in_every_round_and_under_every_seed() -> None:
    responses, judge = _responses(), Judge(method="random")
    found = {
        tuple(log_ratio_rewards(responses, POLICY, BASE, judge, seed=seed, round=round))
        for seed, round in ((1, 1), (1, 2), (2, 1))
    }
    assert len(found) == 3


def test_every_prompt_round_and_seed_draws_the_rejected_answer_anew() -> None:
    responses = _responses(30, 4)
    zeros = [0.0] * len(responses)
    scores = make_scores(responses, zeros, zeros, [3.0, 2.0, 1.0, 0.0] * 30)
    samples = {response.response_id: response.sample for response in responses}
    judge, drawn = Judge(pairing="best_random"), set()
    for seed, round in ((1, 1), (1, 2), (2, 1)):
        pairs = make_pairs(responses, scores, judge, beta=0.1, seed=seed, round=round)
        drawn.add(tuple(samples[pair.rejected_id] for pair in pairs))
    assert [set(rejected) for rejected in drawn] == [{1, 2, 3}] * 3
