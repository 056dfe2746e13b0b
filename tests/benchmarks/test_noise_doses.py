"""The study of noise: what it knows of a label, and how detection is read."""

from typing import Any

import noise_doses
import pytest

from spa.schedule import make_plan


def _row(confidences: list[float], turned: list[bool]) -> dict[str, Any]:
    pairs = zip(confidences, turned, strict=True)
    return {"pairs": [{"confidence": c, "turned": t} for c, t in pairs]}


def _mean(rows: list[dict[str, Any]]) -> float | None:
    found = noise_doses._detection(rows, "confidence", resamples=10)
    return None if found is None else found.mean


def test_a_turned_label_turns_the_base_s_opinion_of_it() -> None:
    assert noise_doses._known((-3.0, -5.0), turned=False) == {"turned": False, "likelihood": 2.0}
    assert noise_doses._known((-3.0, -5.0), turned=True) == {"turned": True, "likelihood": -2.0}


def test_the_least_confident_are_taken_for_turned() -> None:
    assert _mean([_row([0.9, 0.2, 0.8, 0.1], [False, True] * 2)]) == 1.0
    assert _mean([_row([0.1, 0.9, 0.2, 0.8], [False, True] * 2)]) == 0.0


def test_seeds_count_alike_and_nothing_turned_is_no_detection() -> None:
    right, wrong = _row([0.9, 0.1], [False, True]), _row([0.1, 0.9] * 9, [False, True] * 9)
    assert _mean([right, wrong]) == pytest.approx(0.5)
    assert _mean([_row([0.9, 0.1], [False, False])]) is None


def test_the_recipe_takes_as_many_steps_as_told() -> None:
    plan = make_plan(noise_doses.TRAINED, noise_doses.recipe(0.1, 0.1))
    assert plan.steps >= 60
    assert plan.look == 0


def test_trainings_are_asked_for_by_seed_dose_and_setting_in_one_order() -> None:
    assert len(list(noise_doses.wanted([1, 2, 3], noise_doses.FLIPS, 5))) == 45
    assert list(noise_doses.wanted([2, 3], [0.2, 0.4], 1)) == [
        (2, 0.4, 0.1, 0.1), (2, 0.2, 0.1, 0.1), (3, 0.4, 0.1, 0.1), (3, 0.2, 0.1, 0.1),
    ]  # fmt: skip
