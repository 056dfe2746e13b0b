"""Calibration: who is right how often and how surely, by hand."""

import math
from pathlib import Path
from typing import Any

import pytest

from spa.annotation.rubric import rubric_score
from spa.annotation.rubric_annotator import load_rubric
from spa.calibration import calibrate, correct, seed_noise, summarise
from spa.params import Rubric
from spa.records import JudgedPair, Message, Response, Score, TrainingRow

RUBRIC = load_rubric(Rubric(), Path(__file__).parents[2])


def _row(number: int, gold: float, judge: float, likelihood: float, length: int) -> dict[str, Any]:
    return {
        "pair_id": f"{number:x}", "gold": gold, "gap": gold - 0.5, "judge": judge,
        "likelihood": likelihood, "length": length, "confidence": None, "flagged": None,
    }  # fmt: skip


ROWS = [_row(0, 1.0, 2.0, -1.0, 3), _row(1, 0.0, 1.0, -1.0, 0), _row(2, 0.5, 1.0, 1.0, 1)]
PROMPT: list[Message] = [{"role": "user", "content": "Why does bread dough rise?"}]


def test_a_judge_is_right_where_it_agrees_with_gold_and_ties_of_gold_do_not_count() -> None:
    assert correct(ROWS, "judge") == [1.0, 0.0]
    assert correct(ROWS, "likelihood") == [0.0, 1.0]
    assert correct(ROWS, "length") == [1.0, 0.5]


def test_the_summary_counts_pairs_ties_and_accuracies() -> None:
    figures = summarise(ROWS, seed=1, method="implicit", prompts=4)
    assert (figures["pairs"], figures["ties"], figures["n"]) == (3, 1, 2)
    assert figures["judge_tie_rate"] == 0.25
    assert figures["length_accuracy"] == pytest.approx(0.75)
    assert figures["label_accuracy"] == 0.5
    assert figures["agreement"] == {
        "judge-likelihood": 0.0,
        "judge-length": 1.0,
        "likelihood-length": 0.0,
    }
    assert figures["noise"] is None
    empty = summarise(ROWS[2:], seed=1, method="implicit")
    assert (empty["n"], empty["judge_accuracy"]) == (0, None)


def test_pairs_without_a_finite_margin_are_left_out_and_counted() -> None:
    """Of three pairs one margin is infinite, one likelihood is none; five prompts, two ties."""
    words = ("Yeast makes gas in it.", "I do not know.")
    pairs = [
        JudgedPair(
            pair_id=f"{n}", prompt_id=f"q{n}", prompt=PROMPT, chosen=words[0], rejected=words[1],
            chosen_finish_reason="stop", rejected_finish_reason="stop", chosen_id=f"c{n}",
            rejected_id=f"r{n}", margin=margin, probability=0.9, method="implicit",
        )
        for n, margin in enumerate((1.0, math.inf, 1.0))
    ]  # fmt: skip
    scores = [
        Score(response_id=f"{side}{n}", prompt_id=f"q{n}", tokens=3, reward=1.0, base_logp=-1.0,
              policy_logp=math.nan if (side, n) == ("r", 2) else -2.0)
        for n in range(3) for side in "cr"
    ]  # fmt: skip
    answers = [
        Response(response_id=f"c{n}", prompt_id=f"q{n}", prompt=PROMPT, sample=0, text=words[0],
                 token_ids=[1, 2, 3], finish_reason="stop", seed=0, model="m", logprob=-2.0,
                 token_logprobs=[-1.0, -0.5, -0.5])
        for n in range(3)
    ]  # fmt: skip
    rows = calibrate(pairs, scores, answers, RUBRIC)
    assert [row["pair_id"] for row in rows] == ["0"]
    figures = summarise(rows, seed=1, method="implicit", prompts=5, non_finite=2)
    assert (figures["pairs"], figures["non_finite"]) == (1, 2)
    assert figures["judge_tie_rate"] == pytest.approx(0.4)


def test_length_of_the_labels_and_accuracy_where_it_is_alike() -> None:
    """Chosen longer by 10, 10 and -3 tokens; of the two within 5 tokens the judge has one right."""
    rows = [_row(0, 1.0, 1.0, 1.0, -10), _row(1, 0.0, 1.0, 1.0, -10)]
    rows += [_row(2, 1.0, 1.0, 1.0, 3), _row(3, 0.0, 1.0, 1.0, 0)]
    figures = summarise(rows, seed=1, method="implicit")
    assert figures["chosen_longer_tokens"] == pytest.approx(17 / 4)
    assert figures["chosen_longer"] == pytest.approx(2 / 3)
    assert (figures["equal_length_accuracy"], figures["equal_length_n"]) == (0.5, 2)


def test_labels_that_are_mostly_right_may_be_worse_than_none_by_how_much() -> None:
    """Two pairs right by a tenth, one wrong by eight: 67 % right, a mean gap of -0.2."""
    gaps = (0.1, 0.1, -0.8)
    rows = [{**_row(n, float(gap > 0), 1.0, 1.0, 1), "gap": gap} for n, gap in enumerate(gaps)]
    figures = summarise(rows, seed=1, method="implicit")
    assert figures["label_accuracy"] == pytest.approx(2 / 3)
    assert figures["label_gap"] == pytest.approx(-0.2)
    assert figures["label_gap_low"] == pytest.approx(-0.8)
    assert figures["label_gap_high"] == pytest.approx(0.1)


def test_labels_turned_round_count_against_the_labels_and_not_the_judge() -> None:
    """The judge prefers the other answer of each pair, by its own margin, and is right."""
    figures = summarise(
        [_row(n, 0.0, -1.0 - n, 1.0, 1) for n in range(4)], seed=1, method="implicit"
    )
    assert (figures["judge_accuracy"], figures["label_accuracy"]) == (1.0, 0.0)
    assert figures["auroc"] == 1.0
    for curve in ("coverage", "by_margin", "by_length"):
        assert {bucket["accuracy"] for bucket in figures[curve]} == {1.0}


def test_margins_that_rank_have_a_better_auroc_and_brier_score_than_those_that_do_not() -> None:
    sure = [_row(n, float(n % 4 > 0), 9.0 if n % 4 else 0.5, 1.0, 1) for n in range(40)]
    flat = [_row(n, float(n % 4 > 0), 1.0, 1.0, 1) for n in range(40)]
    known, blind = (summarise(rows, seed=1, method="implicit") for rows in (sure, flat))
    assert known["judge_accuracy"] == blind["judge_accuracy"] == 0.75
    assert blind["auroc"] == pytest.approx(0.75)
    assert known["auroc"] > 0.9
    assert known["brier"] < 0.1 < blind["brier"]
    assert [bucket["n"] for bucket in known["by_margin"]] == [10] * 4
    assert known["coverage"][6]["accuracy"] == 1.0  # the surest 70 % are all right


def test_flags_are_held_against_wrong_labels_beside_a_threshold_on_the_margin() -> None:
    """Two of four flagged, both wrong; the two smallest margins have one wrong label."""
    rows = [_row(n, gold, margin, 1.0, 1) for n, (gold, margin) in enumerate(
        [(0.0, 1.0), (0.0, 9.0), (1.0, 2.0), (1.0, 8.0)])]  # fmt: skip
    for row, confidence in zip(rows, (0.4, 0.3, 0.6, 0.7), strict=True):
        row |= {"confidence": confidence, "flagged": confidence < 0.5}
    noise = summarise(rows, seed=1, method="implicit")["noise"]
    assert (noise["precision"], noise["recall"], noise["auroc"]) == (1.0, 1.0, 1.0)
    assert (noise["margin_precision"], noise["margin_recall"]) == (0.5, 0.5)
    assert (noise["n"], noise["flagged_share"], noise["wrong_share"]) == (4, 0.5, 0.5)


def test_the_detectors_last_look_at_a_pair_counts() -> None:
    texts = ("Bread dough rises because yeast makes gas in it.", "no")
    responses = [
        Response(
            response_id=f"r{i}", prompt_id="q", prompt=PROMPT, sample=i, text=text,
            token_ids=[1] * (9 - i), finish_reason="stop", seed=1, model="m", logprob=-1.0,
            token_logprobs=[-1.0],
        )
        for i, text in enumerate(texts)
    ]  # fmt: skip
    scores = [
        Score(response_id=f"r{i}", prompt_id="q", policy_logp=-9.0 + i, base_logp=-9.0,
              tokens=9 - i, reward=1.0 - i)
        for i in range(2)
    ]  # fmt: skip
    pair = JudgedPair(
        pair_id="a", prompt_id="q", prompt=PROMPT, chosen=texts[0], rejected=texts[1],
        chosen_finish_reason="stop", rejected_finish_reason="stop", chosen_id="r0",
        rejected_id="r1", margin=1.0, probability=0.6, method="implicit",
    )  # fmt: skip
    log = [
        TrainingRow(
            step=step, pair_id="a", loss=0.7, margin=0.0, extrapolated_margin=None,
            confidence=confidence, threshold=threshold, flagged=flagged, refined=False,
            learning_rate=1e-5,
        )
        for step, confidence, threshold, flagged in (
            (0, 0.5, None, False), (1, 0.6, 0.5, False), (2, 0.4, 0.5, True))
    ]  # fmt: skip
    [row] = calibrate([pair], scores, responses, RUBRIC, log)
    ease = rubric_score(PROMPT[-1]["content"], texts[0], "stop")
    assert row == {
        "pair_id": "a", "prompt_id": "q", "gold": 1.0, "gap": ease, "judge": 1.0,
        "likelihood": -1.0, "length": -1, "confidence": 0.4, "flagged": True,
    }  # fmt: skip
    [unseen] = calibrate([pair], scores, responses, RUBRIC, log[:1])
    assert (unseen["confidence"], unseen["flagged"]) == (None, None)


def test_round_zeros_detector_is_held_against_the_labels_that_were_turned() -> None:
    def look(pair: str, step: int, confidence: float, threshold: float | None) -> TrainingRow:
        return TrainingRow(
            step=step, pair_id=pair, loss=0.7, margin=0.0, extrapolated_margin=0.0,
            confidence=confidence, threshold=threshold, refined=False, learning_rate=1e-6,
            flagged=threshold is not None and confidence < threshold,
        )  # fmt: skip

    log = [look("unseen", 0, 0.1, None), look("a", 0, 0.9, 0.5)]
    log += [look("a", 1, 0.3, 0.5), look("b", 1, 0.4, 0.5), look("c", 1, 0.8, 0.5)]
    found = seed_noise(log, {"a", "unseen"})
    assert found == {
        "n": 3, "precision": 0.5, "recall": 1.0, "flagged_share": pytest.approx(2 / 3),
        "wrong_share": pytest.approx(1 / 3), "auroc": 1.0,
    }  # fmt: skip
    assert seed_noise(log, set()) is None
    assert seed_noise(log[:1], {"unseen"}) is None


def test_the_peer_of_the_detector_is_how_sure_the_judge_was_whatever_it_preferred() -> None:
    """The surest margin is of a label that was turned round, and so below 0; it is right. The
    least sure is wrong: one flag by margin finds it, and margins rank it first."""
    rows = [_row(n, gold, margin, 1.0, 1) for n, (gold, margin) in enumerate(
        [(1.0, -9.0), (0.0, 1.0), (1.0, 2.0)])]  # fmt: skip
    for row, flagged in zip(rows, (True, False, False), strict=True):
        row |= {"confidence": 0.4 if flagged else 0.6, "flagged": flagged}
    noise = summarise(rows, seed=1, method="implicit")["noise"]
    assert (noise["margin_precision"], noise["margin_recall"]) == (1.0, 1.0)
    assert noise["margin_auroc"] == 1.0


class _Finished:
    """Prefers an answer that finished to one that was cut."""

    def prefer(self, comparisons: Any) -> list[float]:
        ends = [(c.first.finish_reason, c.second.finish_reason) for c in comparisons]
        return [0.5 + ((b == "stop") - (a == "stop")) / 2 for a, b in ends]


@pytest.mark.parametrize(("ends", "gold"), [(("stop", "length"), 1.0), (("length", "stop"), 0.0)])
def test_the_annotator_is_told_how_each_answer_ended(ends: Any, gold: float) -> None:
    responses = [
        Response(
            response_id=side, prompt_id="q", prompt=PROMPT, sample=0, text=side, token_ids=[1],
            finish_reason=end, seed=1, model="m", logprob=-1.0, token_logprobs=[-1.0],
        )
        for side, end in zip("cr", ends, strict=True)
    ]  # fmt: skip
    scores = [
        Score(response_id=side, prompt_id="q", policy_logp=-1.0, base_logp=-1.0, tokens=1,
              reward=0.0)
        for side in "cr"
    ]  # fmt: skip
    pair = JudgedPair(
        pair_id="a", prompt_id="q", prompt=PROMPT, chosen="c", rejected="r",
        chosen_finish_reason=ends[0], rejected_finish_reason=ends[1], chosen_id="c",
        rejected_id="r", margin=1.0, probability=0.6, method="implicit",
    )  # fmt: skip
    [row] = calibrate([pair], scores, responses, _Finished())
    assert (row["gold"], row["gap"]) == (gold, None)
