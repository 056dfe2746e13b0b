"""The report's pictures: equal figures give equal bytes, other figures others."""

from pathlib import Path

import pytest

from spa import pictures, report
from spa.files import write_json
from spa.layout import Layout
from tests.finished_run import write_finished_run


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_finished_run(Layout(tmp_path))


def test_equal_figures_are_equal_pictures(layout: Layout, tmp_path: Path) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    for name in ("a", "b"):
        pictures.draw_win_rate(rows, tmp_path / f"{name}1")
        pictures.draw_reward_kl(rows, tmp_path / f"{name}2")
        pictures.draw_training(layout, ["1", "2"], tmp_path / f"{name}3")
    for number in "123":
        assert (tmp_path / f"a{number}").read_bytes() == (tmp_path / f"b{number}").read_bytes()
    rows[3]["win_rate"] = 0.79
    pictures.draw_win_rate(rows, tmp_path / "c1")
    assert (tmp_path / "c1").read_bytes() != (tmp_path / "a1").read_bytes()


def test_calibration_is_drawn_also_of_a_round_without_figures(
    layout: Layout, tmp_path: Path
) -> None:
    pictures.draw_calibration(layout, ["1", "2"], tmp_path / "two.png")
    write_json(layout.calibration("2") / "metrics.json", {"judge_accuracy": None})
    pictures.draw_calibration(layout, ["1", "2"], tmp_path / "one.png")
    assert (tmp_path / "two.png").read_bytes() != (tmp_path / "one.png").read_bytes()
