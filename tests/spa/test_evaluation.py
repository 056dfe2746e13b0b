"""Evaluation: win rates, gold accuracy and drift, by hand."""

from collections.abc import Sequence
from typing import Any

import pytest

from spa.annotation.annotator import Comparison
from spa.annotation.rubric_annotator import RubricAnnotator
from spa.errors import ArtefactError
from spa.evaluation import (
    annotate,
    beside,
    kl_estimate,
    null_win_rate,
    outputs_json,
    summarise,
)
from spa.leaderboard import raw_figures
from spa.records import Message, Response


def _finishing(question: str, answer: str, finish_reason: str) -> float:
    return 0.0 if not answer else 0.9 if finish_reason == "stop" else 0.5


RUBRIC = RubricAnnotator(_finishing)
QUESTION = "Why does bread dough need time to rise?"
GOOD = (
    "Bread dough rises because yeast eats the sugar in the flour and gives off gas. "
    "The gas needs an hour or two to fill the dough with small bubbles."
)


def _output(pool: str, text: str, finish_reason: str = "stop") -> dict[str, Any]:
    return {
        "dataset": pool,
        "finish_reason": finish_reason,
        "generator": "policy",
        "instruction": QUESTION,
        "output": text,
        "prompt_id": pool,
        "tokens": 10,
    }


def test_a_win_is_preference_two_a_tie_one_and_a_half() -> None:
    base = [_output("test", GOOD, "length"), _output("test", GOOD), _output("development", GOOD)]
    policy = [_output("test", GOOD), _output("test", GOOD), _output("development", "")]
    rows = annotate(base, policy, RUBRIC, name="rubric")
    assert [row["preference"] for row in rows] == [2.0, 1.5, 1.0]
    figures = summarise(policy, rows, seed=1)
    assert (figures["n"], figures["win_rate"], figures["finished"]) == (2, 0.75, 1.0)
    assert figures["gold_reward"] == pytest.approx(0.9)
    assert (figures["development"]["n"], figures["development"]["win_rate"]) == (1, 0.0)


TURNS: list[Message] = [
    {"role": "system", "content": "You are a baker."},
    {"role": "user", "content": "Does bread rise?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Why?"},
]


class _Reads:
    """Prefers the second answer to prompts that it notes."""

    def __init__(self) -> None:
        self.read: list[Sequence[Message]] = []

    def prefer(self, comparisons: Sequence[Comparison]) -> list[float]:
        self.read += [comparison.prompt for comparison in comparisons]
        return [1.0] * len(comparisons)


@pytest.mark.parametrize(
    ("turns", "instruction"),
    [
        (TURNS, "user: Does bread rise?\n\nassistant: Yes.\n\nuser: Why?"),
        ([TURNS[0], TURNS[3]], "Why?"),
        (TURNS[3:], "Why?"),
    ],
)
def test_annotators_read_the_whole_conversation(turns: list[Message], instruction: str) -> None:
    """What AlpacaEval calls the instruction of a single question stays that question."""
    response = Response(
        response_id="r", prompt_id="p", prompt=turns, sample=0, text="Yeast.", token_ids=[5],
        finish_reason="stop", seed=1, model="m", token_logprobs=[-1.0], logprob=-1.0,
    )  # fmt: skip
    rows = outputs_json({"test": [response]}, "policy")
    assert rows[0]["instruction"] == instruction
    reader = _Reads()
    annotated = annotate(rows, rows, reader, name="llm")
    assert reader.read == [turns]
    assert annotated[0]["instruction"] == instruction


class _Longer:
    """Only compares: the longer answer is better."""

    def prefer(self, comparisons: Sequence[Comparison]) -> list[float]:
        return [float(len(c.second.text) > len(c.first.text)) for c in comparisons]


def test_an_annotator_that_only_compares_gives_no_gold_reward() -> None:
    base, policy = [_output("test", "Short.")], [_output("test", GOOD)]
    rows = annotate(base, policy, _Longer(), name="longer")
    assert (rows[0]["annotator"], rows[0]["preference"], rows[0]["score"]) == ("longer", 2.0, None)
    figures = summarise(policy, rows, seed=1)
    assert (figures["win_rate"], figures["gold_reward"]) == (1.0, None)


def test_a_discrete_win_rate_counts_wins_and_ties() -> None:
    """Preferences 0.6, 0.5, 0.1 and none: a win, a tie and a loss of three."""
    outputs = [_output("test", "Text.")] * 4
    rows = [{"dataset": "test", "preference": p, "score": None} for p in (1.6, 1.5, 1.1, None)]
    figures = summarise(outputs, rows, seed=1)
    assert figures["discrete_win_rate"] == 0.5
    assert figures["win_rate"] == pytest.approx(0.4)
    assert figures["discrete_win_rate"] == raw_figures(rows)["discrete_win_rate"] / 100


def test_an_annotator_that_names_no_better_answer_has_no_win_rate() -> None:
    rows: dict[str, list[dict[str, Any]]] = {
        "a": [{"dataset": "test", "preference": 2.0}],
        "b": [{"dataset": "test", "preference": None}],
    }
    found = beside(rows, seed=0)
    assert found["annotators"]["a"]["n"] == 1
    assert found["annotators"]["b"] == {
        "win_rate": None, "win_rate_low": None, "win_rate_high": None, "n": 0
    }  # fmt: skip
    assert found["agreement"] == [{"annotators": ["a", "b"], "agreement": None, "n": 0}]


def test_annotators_stand_beside_each_other_with_their_agreement() -> None:
    """Preferences 1, 0, 1, tie against 1, 1, 0, 1: they agree on one of the three both decide."""

    def rows(*preferences: float) -> list[dict[str, Any]]:
        return [{"dataset": "test", "preference": 1 + p} for p in preferences]

    found = beside({"a": rows(1, 0, 1, 0.5), "b": rows(1, 1, 0, 1)}, seed=0)
    assert found["annotators"]["a"]["win_rate"] == 0.625
    assert found["annotators"]["b"]["n"] == 4
    [agreement] = found["agreement"]
    assert agreement == {"annotators": ["a", "b"], "agreement": pytest.approx(1 / 3), "n": 3}


def test_a_judge_of_length_is_gameable_and_the_rubric_is_not() -> None:
    base = [_output("test", "Short."), _output("test", GOOD), _output("test", "Also short.")]
    gamed = null_win_rate(base, _Longer(), seed=0)
    assert gamed["win_rate"] == pytest.approx(2 / 3)
    assert gamed["n"] == 3
    fair = null_win_rate(base, RubricAnnotator(lambda q, a, f: "yeast" in a), seed=0)
    assert fair["win_rate"] == pytest.approx((0.5 + 0 + 0.5) / 3)


def test_answers_to_other_prompts_are_not_compared() -> None:
    with pytest.raises(ArtefactError, match="did not answer the same prompts"):
        annotate([_output("test", GOOD)], [_output("development", GOOD)], RUBRIC, name="rubric")


def test_a_failed_call_agrees_with_nobody() -> None:
    rows = {
        name: [{"dataset": "test", "preference": p} for p in preferences]
        for name, preferences in (("a", [2.0, None, 1.0]), ("b", [2.0, 1.0, 2.0]))
    }
    (found,) = beside(rows, seed=1)["agreement"]
    assert (found["agreement"], found["n"]) == (0.5, 2)


def test_drift_is_the_mean_log_ratio() -> None:
    found = kl_estimate([-10.0, -20.0], [-12.0, -21.0], seed=0)
    assert (found.mean, found.low, found.high, found.n) == (1.5, 1.0, 2.0, 2)


def test_lengths_ends_and_variety_by_hand() -> None:
    """Two answers, of 3 and 5 tokens and 3 words, one of them cut; of the pairs of words a b, b c,
    a b, b d three are different."""
    outputs = [
        {**_output("test", "a b c", "length"), "tokens": 3},
        {**_output("test", "a b d"), "tokens": 5},
    ]
    rows = [{"dataset": "test", "preference": 2.0, "score": None}] * 2
    figures = summarise(outputs, rows, seed=1)
    wanted = {"mean_tokens": 4.0, "mean_words": 3.0, "finished": 0.5, "distinct_2": 0.75}
    assert {key: figures[key] for key in wanted} == wanted
    repeating = [{**outputs[0], "output": "a b c x a b c"}, outputs[1]]
    assert summarise(repeating, rows, seed=1)["repetition"] == pytest.approx(0.2 / 2)


def test_two_of_two_wins_are_no_certainty() -> None:
    """Wilson's lower bound is 1 / (1 + 1.96^2 / 2) = 0.342."""
    rows = [{"dataset": "test", "preference": 2.0, "score": None}] * 2
    figures = summarise([_output("test", "a")] * 2, rows, seed=1)
    assert (figures["win_rate"], figures["win_rate_high"]) == (1.0, pytest.approx(1.0))
    assert figures["win_rate_low"] == pytest.approx(0.3424, abs=1e-4)
