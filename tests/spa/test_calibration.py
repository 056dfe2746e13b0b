"""Calibration: who is right how often, by hand."""

import pytest

from spa.calibration import correct, summarise

ROWS = [
    {"gold": 1.0, "judge": 2.0, "likelihood": -1.0, "length": 3},
    {"gold": 0.0, "judge": 1.0, "likelihood": -1.0, "length": 0},
    {"gold": 0.5, "judge": 1.0, "likelihood": 1.0, "length": 1},
]


def test_a_judge_is_right_where_it_agrees_with_gold_and_ties_of_gold_do_not_count() -> None:
    assert correct(ROWS, "judge") == [1.0, 0.0]
    assert correct(ROWS, "likelihood") == [0.0, 1.0]
    assert correct(ROWS, "length") == [1.0, 0.5]


def test_the_summary_counts_pairs_ties_and_accuracies() -> None:
    figures = summarise(ROWS, seed=1, method="implicit")
    assert (figures["pairs"], figures["ties"], figures["n"]) == (3, 1, 2)
    assert figures["length_accuracy"] == pytest.approx(0.75)
    empty = summarise(ROWS[2:], seed=1, method="implicit")
    assert (empty["n"], empty["judge_accuracy"]) == (0, None)
