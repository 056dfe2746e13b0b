"""The guard against length hacking: it speaks of a judge of length, and of one only."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from spa.length_guard import equal_length_win_rate, health, length_figures

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


def test_figures_by_hand() -> None:
    """Longer by 2 and wins, shorter by 1 and loses, longer by 1 and loses, alike, a tie."""
    rows = [
        {"dataset": "test", "output_1": "a" * a, "output_2": "b" * b, "preference": p}
        for a, b, p in ((4, 6, 2.0), (4, 3, 1.0), (4, 5, 1.0), (4, 4, 2.0), (4, 9, 1.5))
    ]
    rows += [{**rows[0], "dataset": "development"}, {**rows[0], "preference": None}]
    figures = length_figures(rows, seed=0)
    assert figures["mean_characters"] == pytest.approx(27 / 5)
    assert figures["length_ratio"] == pytest.approx(27 / 20)
    assert figures["longer_preferred"] == pytest.approx(2 / 3)


def test_the_win_rate_at_equal_length_takes_length_out() -> None:
    """Wins that follow length alone are even at equal length; wins without regard to it stay."""
    draw = random.Random(1)
    differences = [draw.gauss(50, 100) for _ in range(4000)]
    followed = [float(d > 0) if draw.random() < 0.8 else draw.random() for d in differences]
    fair = [float(draw.random() < 0.7) for _ in differences]
    assert sum(followed) / 4000 > 0.6
    assert equal_length_win_rate(followed, differences) == pytest.approx(0.5, abs=0.05)
    assert equal_length_win_rate(fair, differences) == pytest.approx(0.7, abs=0.03)
    assert equal_length_win_rate([1.0, 0.0], [3, 3]) is None
    assert equal_length_win_rate([0.5, 0.5], [3, 9]) is None


def test_a_judge_of_length_makes_the_guard_speak_where_it_begins() -> None:
    """Three rounds of answers that grow; the annotator turns to length in the second."""
    rounds = {"0": (_fair, 1.0), "1": (_fair, 1.2), "2": (_longer, 1.4)}
    found = {
        name: health(_row(_annotations(likes, grown=grown), name))
        for name, (likes, grown) in rounds.items()
    }
    assert [found[name]["healthy"] for name in "012"] == [True, True, False]
    assert "the annotator follows length" in found["2"]["words"]
    assert "longer answers (over 1.1 times the base's) carry" in found["2"]["words"]
    assert found["1"]["words"].endswith(": healthy.")


def test_labels_that_follow_length_are_told() -> None:
    row = _row(_annotations(_fair), chosen_longer_low=0.7)
    assert "its labels follow length" in health(row)["words"]
    assert health({**row, "chosen_longer_low": 0.5})["healthy"]


def test_what_is_known_is_told() -> None:
    row = _row(_annotations(_fair), chosen_longer_tokens=-2.5)
    row |= {"lc_win_rate": 0.2, "lc_approximate": True}
    words = health(row)["words"]
    assert "length-controlled about 20.0%" in words
    assert "chosen answers -2.5 tokens longer than rejected" in words
    assert "length-controlled" not in health(_row(_annotations(_fair)))["words"]


def test_the_base_against_itself_is_healthy() -> None:
    rows = [
        {"dataset": "test", "output_1": "abc", "output_2": "abc", "preference": 1.5}
        for _ in range(5)
    ]
    assert health(_row(rows, "base"))["healthy"]
