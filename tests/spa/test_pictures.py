"""The report's pictures: equal figures give equal bytes, other figures others."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from spa import pictures, report
from spa.digest import curves
from spa.drawing import INK, SERIES, THEME, Plot, colour_of, save_png, to_svg
from spa.layout import Layout
from tests.finished_run import training_log, write_finished_run

PAIRS = {"1": [{"judge": 0.2, "gold": 1.0}, {"judge": 0.4, "gold": 0.0}], "2": []}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    layout = write_finished_run(Layout(tmp_path_factory.mktemp("run")))
    return report.read_rows(layout, ["1", "2"])


@pytest.fixture(scope="module")
def drawn(rows: list[dict[str, Any]]) -> list[str]:
    return [to_svg(plot) for plot in _all(rows)]


def _all(rows: Sequence[dict[str, Any]]) -> list[Plot]:
    bucket = [{"mean": 0.6, "accuracy": 0.7, "n": 9}]
    judged = dict.fromkeys(("reliability", "coverage", "by_margin", "by_length"), bucket)
    return [
        pictures.win_rate(rows),
        pictures.reward_kl(rows),
        *pictures.training({"0": curves(training_log()), "1": curves([])}),
        *pictures.calibration({"1": judged, "2": {}}),
        pictures.margins(PAIRS),
        pictures.lengths({"base": [10, 20, 30], "1": []}),
    ]


def test_equal_figures_are_equal_pictures(
    rows: list[dict[str, Any]], drawn: list[str], tmp_path: Path
) -> None:
    again = _all(rows)
    for number in (0, 2, 9):
        assert to_svg(again[number]) == drawn[number]
    for name in "ab":
        save_png(_all(rows)[:1], tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_figures_are_other_pictures(rows: list[dict[str, Any]], drawn: list[str]) -> None:
    changed = [*rows[:3], {**rows[3], "win_rate": 0.79}, rows[4]]
    assert to_svg(pictures.win_rate(changed)) != drawn[0]


def test_a_picture_says_its_numbers_to_who_cannot_see_it(rows: list[dict[str, Any]]) -> None:
    said = [plot.alt for plot in _all(rows)]
    assert "round 1 70.0% [65.0%, 75.0%]" in said[0]
    assert "base 0.00, 0.500" in said[1]
    assert said[3] == "Margin: round 0 from -0.500 to 3.500 in 5 steps."
    assert said[5] == "Share right by probability: round 1: 0.60 70% of 9."
    longer = "Share right by tokens that the preferred answer is longer: round 1: 0.60 70% of 9."
    assert said[8] == longer
    assert "round 1 median 0.3 nats, 1 of 2 labels wrong" in said[9]
    assert "base median 20; round 1 median unknown" in said[10]


def test_a_drawing_takes_its_colours_from_the_page_and_has_no_ids_to_clash(
    drawn: list[str],
) -> None:
    for svg in drawn:
        assert svg.startswith('<svg class="plot" role="img" aria-label="')
        assert "var(--ink)" in svg
        assert not [colour for colour in THEME if colour in svg]
        assert "<text" in svg  # text stays text
        assert "http" not in svg
    ids = [part.split('"')[0] for svg in drawn for part in svg.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_a_title_with_markup_is_text() -> None:
    def draw(axes: Any) -> None:
        axes.set(xlabel="<b>&")

    svg = to_svg(Plot("t", 'says "<b>"', draw))
    assert "<b>" not in svg.split(">", 1)[1]
    assert svg.startswith('<svg class="plot" role="img" aria-label=\'says "&lt;b&gt;"\'')


@pytest.mark.parametrize(
    "plot",
    [
        lambda: pictures.margins({}),
        lambda: pictures.margins({"1": []}),
        lambda: pictures.training({})[0],
        lambda: pictures.training({"0": curves([])})[2],
        lambda: pictures.calibration({})[1],
    ],
)
def test_nothing_to_draw_is_drawn_and_said(plot: Callable[[], Plot]) -> None:
    assert to_svg(plot()).startswith("<svg")
    assert plot().alt


def test_labels_of_neighbours_keep_apart() -> None:
    base, seed, far = (0.0, 0.478), (0.02, 0.484), (1.4, 0.52)
    assert pictures._lies_below(base, [seed, far])
    assert not pictures._lies_below(seed, [base, far])


def test_what_has_no_gold_reward_shows_win_rates(rows: list[dict[str, Any]]) -> None:
    assert "gold reward" in pictures.reward_kl(rows).alt
    changed = [*rows[:2], {**rows[2], "gold_reward": None}, *rows[3:]]
    assert "and win rate by policy" in pictures.reward_kl(changed).alt


def test_every_policy_has_a_colour_of_the_theme() -> None:
    names = ("base", "rival", *(str(n) for n in range(20)))
    assert {colour_of(name) for name in names} <= set(THEME)
    assert colour_of("0") == SERIES[0] == colour_of("6")
    assert INK in THEME
