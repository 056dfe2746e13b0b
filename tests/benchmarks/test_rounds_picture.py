"""The README's picture is made of the results that ship, and shows the figures of results.md."""

from pathlib import Path

import numpy as np
import pytest
import rounds_picture
from matplotlib.figure import Figure
from PIL import Image

ROOT = Path(__file__).parents[2]


def test_the_picture_was_made_of_the_results_that_ship() -> None:
    with Image.open(rounds_picture.PICTURE) as picture:
        made_of = picture.info["Description"]
    assert made_of == rounds_picture.fingerprint(), "run python benchmarks/rounds_picture.py"


def test_lines_are_win_rates_by_round_and_thick_ones_their_mean() -> None:
    """Seeds 81 and 82 of results.md: 54.2 and 59.0, 68.8 and 65.8, 71.5 and 64.8 %."""
    rows = [rounds_picture.read(name) for name in rounds_picture.STUDIES]
    assert [len(pipelines) for pipelines in rows] == [6, 2, 4, 6, 6]
    axes = Figure().subplots()
    rounds_picture.draw_study(axes, rows[1])
    lines = [np.asarray(line.get_ydata()).tolist() for line in axes.lines]
    shown = [line for line in lines if len(line) == 3]
    assert shown[0] == pytest.approx([54.25, 68.75, 71.5])
    assert shown[1] == pytest.approx([59.0, 65.75, 64.75])
    assert shown[2] == pytest.approx([56.625, 67.25, 68.125])


def test_an_interval_is_that_of_all_pipelines_together() -> None:
    rows = rounds_picture.read("starter_seeds_drawn.jsonl")
    found = rounds_picture.pooled(rows, "2")
    assert found.mean == pytest.approx((0.715 + 0.6475) / 2)
    assert 0.03 < found.high - found.mean < 0.07
