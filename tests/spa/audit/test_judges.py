"""A round judged by any settings follows from its answers, and an edit of it does not."""

from typing import Any

import pytest
from recorded_outputs import generate

from spa.judging import length_penalty, log_ratio_rewards, make_pairs, make_scores
from spa.layout import Layout
from spa.param_files import load_params
from spa.records import JudgedPair, Response, Score
from spa.splits import flip_labels
from spa.tables import read_table, write_table
from tests.spa.audit.tampering import another_margin, by_rows_alone, edit, edit_yaml


def _judged_by(layout: Layout, **judge: Any) -> None:
    """Four new answers to each prompt of round 1, judged as the stage does with these settings."""

    def change(params: Any) -> None:
        params["generate"]["samples"] = 4
        params["judge"].update(judge)

    edit_yaml(layout.params, change)
    params = load_params(layout.params)
    own, draws = params.for_round(1).judge, {"seed": params.seed, "round": 1}
    generate(layout, params, "1")
    answers = read_table(layout.responses(1), Response)
    policy = [sum(answer.token_logprobs) for answer in answers]
    base = [logp - 0.3 * (number % 7) for number, logp in enumerate(policy)]
    reference = [0.0] * len(base) if own.reference == "none" else base
    rewards = log_ratio_rewards(answers, policy, reference, own, **draws)
    penalty = length_penalty(answers, rewards, own, **draws)
    scores = make_scores(answers, policy, base, rewards, penalty=penalty)
    pairs = make_pairs(answers, scores, own, beta=params.train.beta, **draws)
    pairs = flip_labels(pairs, own.flip_labels, seed=params.seed, name="judge-1")
    write_table(layout.scores(1), scores, Score, note={"length_penalty": penalty})
    write_table(layout.pairs(1), pairs, JudgedPair)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "inverted"},
        {"method": "likelihood"},
        {"method": "random"},
        {"reference": "none"},
        {"pairing": "best_random"},
        {"flip_labels": 0.5},
        {"length_penalty": 0.01},
        {"length_penalty": "auto"},
    ],
)
def test_a_round_judged_another_way_is_whole_and_an_edit_of_it_is_named(
    rows: Layout, settings: dict[str, Any]
) -> None:
    _judged_by(rows, **settings)
    scores, pairs = "data/round-1/scores.parquet", "data/round-1/pairs.parquet"
    assert by_rows_alone(rows, scores) == by_rows_alone(rows, pairs) == set()
    edit(rows.pairs(1), another_margin)
    assert by_rows_alone(rows, pairs) == {5}
