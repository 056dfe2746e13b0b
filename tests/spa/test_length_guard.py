"""The guard against length hacking: it speaks of a judge of length, and of one only."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spa.importing.annotations import read_annotations
from spa.length_guard import health, length_figures, length_gain, longer_preferred

BASE: dict[str, Any] = {}
Likes = Callable[[str, str, random.Random], float]


def _annotations(likes: Likes, *, grown: float = 1.0, count: int = 150) -> list[dict[str, Any]]:
    """Answers of 200 to 400 characters; the policy's are `grown` times as long on average."""
    draw = random.Random(0)
    rows = []
    for _ in range(count):
        first = "a" * draw.randint(200, 400)
        second = "b" * int(draw.randint(200, 400) * grown)
        win = likes(first, second, draw)
        rows.append(
            {"dataset": "test", "output_1": first, "output_2": second, "preference": 1 + win}
        )
    return rows


def _longer(first: str, second: str, draw: random.Random) -> float:
    return 0.5 if len(first) == len(second) else float(len(second) > len(first))


def _fair(first: str, second: str, draw: random.Random) -> float:
    return float(draw.random() < 0.6)


def _row(annotations: list[dict[str, Any]], round: str = "1", **extra: Any) -> dict[str, Any]:
    rate = sum(row["preference"] - 1 for row in annotations) / len(annotations)
    figures = length_figures(annotations, seed=0)
    return {"round": round, "win_rate": rate, "against": "base", **figures, **extra}


def _speaks(
    draw: np.random.Generator, likes: str, *, ratio: float, good: float = 0.5, count: int = 150
) -> bool:
    """Whether the guard speaks of answers `ratio` times as long as the base's, which vary by a
    third. `likes`: `fair`, the policy wins a share `good` whatever the lengths; `longer`, the
    longer answer wins; `half`, one of the two by a coin; `slope`, the odds double per 0.7 standard
    deviations of length."""
    first, second = draw.lognormal(5.6, 0.3, (2, count)) * [[1.0], [ratio]]
    gaps = np.round(second - first)
    chance = {
        "fair": np.full(count, good),
        "longer": gaps > 0,
        "half": (good + (gaps > 0)) / 2,
        "slope": 1 / (1 + np.exp(-gaps / gaps.std())),
    }[likes]
    wins = (draw.random(count) < chance).astype(float)
    texts = ["a" * int(length) for length in first]
    rows = [
        {
            "dataset": "test",
            "output_1": text,
            "output_2": text[:1] * (len(text) + int(gap)),
            "preference": 1 + win,
        }
        for text, gap, win in zip(texts, gaps, wins, strict=True)
    ]
    return not health(_row(rows), BASE)["healthy"]


def _spoken(likes: str, *, seeds: int = 40, **settings: Any) -> float:
    """The share of seeds under which the guard speaks."""
    return sum(_speaks(np.random.default_rng(n), likes, **settings) for n in range(seeds)) / seeds


def test_figures_by_hand() -> None:
    """Longer by 2 and wins, shorter by 1 and loses, longer by 1 and loses, alike, a tie.

    The policy wins one of the two where its answer is longer, and loses the one where it is not.
    """
    rows = [
        {"dataset": "test", "output_1": "a" * a, "output_2": "b" * b, "preference": p}
        for a, b, p in ((4, 6, 2.0), (4, 3, 1.0), (4, 5, 1.0), (4, 4, 2.0), (4, 9, 1.5))
    ]
    rows += [{**rows[0], "dataset": "development"}, {**rows[0], "preference": None}]
    figures = length_figures(rows, seed=0)
    assert figures["mean_characters"] == pytest.approx(27 / 5)
    assert figures["length_ratio"] == pytest.approx(27 / 20)
    assert figures["longer_preferred"] == pytest.approx((1 / 2 + 1) / 2)


def test_the_interval_of_longer_preferred_by_hand() -> None:
    """80 of 100 and 10 of 20: Wilson's intervals are [0.711, 0.867] and [0.299, 0.701]."""
    wins = [1.0] * 80 + [0.0] * 20 + [0.0] * 10 + [1.0] * 10 + [0.5, 1.0]
    found = longer_preferred(wins, [9] * 100 + [-9] * 20 + [9, 0])
    assert found is not None
    assert found.mean == pytest.approx(0.65)
    assert found.n == 120
    assert found.low == pytest.approx(0.65 - (0.089**2 + 0.201**2) ** 0.5 / 2, abs=1e-3)
    assert found.high == pytest.approx(0.65 + (0.067**2 + 0.201**2) ** 0.5 / 2, abs=1e-3)
    assert longer_preferred([1.0, 1.0], [3, 5]) is None


def test_the_win_rate_at_equal_length_takes_length_out() -> None:
    """Wins that follow length alone are even at equal length; wins without regard to it stay."""
    draw = random.Random(1)
    differences = [draw.gauss(50, 100) for _ in range(4000)]
    followed = [float(d > 0) if draw.random() < 0.8 else draw.random() for d in differences]
    fair = [float(draw.random() < 0.7) for _ in differences]
    gain, none = (length_gain(wins, differences, seed=0) for wins in (followed, fair))
    assert gain is not None
    assert none is not None
    assert sum(followed) / 4000 - gain.mean == pytest.approx(0.5, abs=0.05)
    assert sum(fair) / 4000 - none.mean == pytest.approx(0.7, abs=0.03)
    assert gain.low > 0.05
    assert none.low < 0 < none.high
    assert length_gain([1.0, 0.0], [3, 3], seed=0) is None
    assert length_gain([0.5, 0.5], [3, 9], seed=0) is None


def test_the_interval_of_the_gain_is_that_of_a_bootstrap_that_fits_anew() -> None:
    draw = np.random.default_rng(2)
    differences = draw.normal(60, 100, 200)
    wins = (draw.random(200) < 1 / (1 + np.exp(-differences / 100))).astype(float)
    found = length_gain(wins.tolist(), differences.tolist(), seed=0)
    rows = [draw.integers(200, size=200) for _ in range(100)]
    again = [length_gain(wins[r].tolist(), differences[r].tolist(), seed=0) for r in rows]
    low, high = np.quantile([one.mean for one in again if one], [0.025, 0.975])
    assert found is not None
    assert found.low == pytest.approx(low, abs=0.03)
    assert found.high == pytest.approx(high, abs=0.03)


@pytest.mark.parametrize(("good", "ratio"), [(0.5, 1.0), (0.8, 1.5), (0.8, 2.5), (0.95, 2.5)])
def test_a_fair_judge_of_a_better_and_longer_policy_is_healthy(good: float, ratio: float) -> None:
    assert _spoken("fair", good=good, ratio=ratio) <= 0.05


@pytest.mark.parametrize(
    ("likes", "ratio", "power"),
    [
        ("longer", 0.8, 1),
        ("longer", 1.5, 1),
        ("longer", 9, 1),
        ("half", 1.5, 0.6),
        ("slope", 1.5, 0.8),
    ],
)
def test_a_judge_of_length_is_found(likes: str, ratio: float, power: float) -> None:
    assert _spoken(likes, ratio=ratio) >= power


@pytest.mark.shared
def test_real_models_against_the_leaderboard_s_reference_are_healthy(shared: Path) -> None:
    """Five of the six are both worse and shorter than the reference."""
    files = sorted((shared / "alpaca_eval" / "annotations").iterdir())
    found = [
        health(
            _row([{**row, "dataset": "test"} for row in read_annotations(file.name, file.parent)]),
            BASE,
        )
        for file in files
    ]
    assert [one["healthy"] for one in found] == [True] * 6, found


def test_a_judge_of_length_makes_the_guard_speak_where_it_begins() -> None:
    """Three rounds of answers that grow; the annotator turns to length in the second."""
    rounds = {"0": (_fair, 1.0), "1": (_fair, 1.2), "2": (_longer, 1.4)}
    found = {
        name: health(_row(_annotations(likes, grown=grown), name), BASE)
        for name, (likes, grown) in rounds.items()
    }
    assert [found[name]["healthy"] for name in "012"] == [True, True, False]
    assert "the annotator follows length" in found["2"]["words"]
    assert "longer answers (over 1.1 times the base's) carry" in found["2"]["words"]
    assert found["1"]["words"].endswith(": healthy.")


def test_labels_that_follow_length_are_told() -> None:
    row = _row(_annotations(_fair), chosen_longer_low=0.7)
    assert "its labels follow length" in health(row, BASE)["words"]
    assert health({**row, "chosen_longer_low": 0.5}, BASE)["healthy"]


def test_what_is_known_is_told() -> None:
    row = _row(_annotations(_fair), chosen_longer_tokens=-2.5)
    row |= {"lc_win_rate": 0.2, "lc_approximate": True}
    words = health(row, BASE)["words"]
    assert "length-controlled about 20.0%" in words
    assert "chosen answers -2.5 tokens longer than rejected" in words
    assert "length-controlled" not in health(_row(_annotations(_fair)), BASE)["words"]


def test_the_base_against_itself_is_healthy() -> None:
    rows = [
        {"dataset": "test", "output_1": "abc", "output_2": "abc", "preference": 1.5}
        for _ in range(5)
    ]
    assert health(_row(rows, "base"), BASE)["healthy"]


def test_a_win_rate_that_outgrows_length_control_is_told() -> None:
    """6 points since the base, of answers half as long again, speak; 4 do not, nor short ones."""
    row = _row(_annotations(_fair), lc_approximate=True) | {"mean_characters": 300.0}
    row |= {"win_rate": 0.36, "lc_win_rate": 0.28}
    base = {"win_rate": 0.20, "lc_win_rate": 0.18, "mean_characters": 200.0}
    words = health(row, base)["words"]
    assert "has outgrown the length-controlled one by 6.0% since the base" in words
    assert health({**row, "lc_win_rate": 0.30}, base)["healthy"]
    assert health(row, {**base, "mean_characters": 290.0})["healthy"]
    assert health(row, {**base, "lc_win_rate": None})["healthy"]


def test_at_equal_length_a_longer_policy_that_only_length_prefers_is_even() -> None:
    """It wins nearly all; what length carries is taken off and not added."""
    rows = _annotations(_longer, grown=1.4)
    row = _row(rows)
    assert row["win_rate"] > 0.8
    assert row["equal_length_win_rate"] == pytest.approx(0.5, abs=0.1)
    assert row["equal_length_win_rate"] == pytest.approx(row["win_rate"] - row["length_gain"])
