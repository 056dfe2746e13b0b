"""Study 1 at equal distance from the base, by hand on rows made up for it, and its picture."""

from typing import Any

import controlled_distance
import numpy as np
import pytest
import study
from controlled_distance import Point, at, beside, gather, way
from matplotlib.figure import Figure
from PIL import Image


def _policy(kl: float, score: float) -> dict[str, Any]:
    outcomes = {"scores": [score - 0.1, score + 0.1], "wins": [0.0, 1.0]}
    return {"kl_to_base": kl, "test": outcomes}


def _row(arm: str, seed: int = 1, **policies: tuple[float, float]) -> dict[str, Any]:
    """A pipeline: by policy its KL to the base and its mean score."""
    made = {name.removeprefix("p"): _policy(*each) for name, each in policies.items()}
    return {"rubric": "easy", "seed": seed, "arm": arm, "policies": made}


OWN = _row("spa", p0=(-0.2, 0.5), p1=(1.0, 0.6), p2=(4.0, 0.65), rival=(2.25, 0.8))
FAR = _row("far_rival", rival=(9.0, 0.9))
LONGER = _row("seed_steps", p0=(0.25, 0.58))
BETTER = _row("oracle", p0=(0.0, 0.5), p1=(0.25, 0.7), p2=(1.0, 0.75), rival=(2.25, 0.9))


def test_a_way_goes_from_the_seed_policy_outwards_and_an_estimate_below_0_is_none() -> None:
    arms = gather([OWN, FAR, LONGER], "easy")
    distances = {
        name: [point.distance for point in way(arms, name, 1, "scores")]
        for name in ("spa", "amplified", "seed_steps")
    }
    assert distances == {
        "spa": [0.0, 1.0, 2.0],
        "amplified": [0.0, 1.5, 3.0],
        "seed_steps": [0.0, 0.5],
    }


def test_between_two_policies_a_prompts_score_is_linear_in_the_distance() -> None:
    points = [Point(0.0, [0.2, 0.4]), Point(2.0, [0.6, 0.4])]
    assert at(points, 0.5) == pytest.approx([0.3, 0.4])
    assert at(points, 0.0) == [0.2, 0.4]
    assert at(points, 2.0) == pytest.approx([0.6, 0.4])
    with pytest.raises(ValueError, match=r"ends at 2\.0, 2\.1 is asked"):
        at(points, 2.1)


def test_two_ways_are_read_where_the_shorter_one_ends() -> None:
    """Own labels end at 2, a third of the way from the rival (1.5) to the far one (3).

    The longer seed ends at 0.5, where own labels are half the way from 0.5 to 0.6.
    """
    arms = gather([OWN, FAR, LONGER], "easy")
    distance, differences = beside(arms, "spa", "amplified", 1, "scores")
    assert distance == 2.0
    assert differences == pytest.approx([0.65 - 0.8 - 0.1 / 3] * 2)
    distance, differences = beside(arms, "spa", "seed_steps", 1, "scores")
    assert distance == 0.5
    assert differences == pytest.approx([0.55 - 0.58] * 2)


def test_an_arm_with_rounds_stands_beside_its_own_seed_policy_and_rival() -> None:
    """At 1 the oracle's own amplified seed is two thirds of the way from 0.5 to 0.9."""
    arms = gather([OWN, BETTER], "easy")
    distance, differences = beside(arms, "oracle", "amplified", 1, "scores")
    assert distance == 1.0
    assert differences == pytest.approx([0.75 - (0.5 + 0.4 * 2 / 3)] * 2)


def test_the_table_tells_the_seeds_that_both_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "RESAMPLES", 100)
    other = {**OWN, "seed": 2}
    found = controlled_distance.table([OWN, LONGER, other])
    assert "| `easy` | `spa` | `seed_steps` | 0.2 | -3.0 [-3.0, -3.0] |" in found
    assert "| `easy` | `spa` | the amplified seed | 2.2, 2.2 | -1" in found
    assert "oracle" not in found


def test_the_picture_was_made_of_the_results_that_ship() -> None:
    with Image.open(controlled_distance.PICTURE) as picture:
        made_of = picture.info["Description"]
    wanted = "run python benchmarks/controlled_distance.py picture"
    assert made_of == controlled_distance.made_of(), wanted


def test_a_line_is_a_pipelines_mean_score_by_distance() -> None:
    axes = Figure().subplots()
    controlled_distance.draw_rubric(axes, gather([OWN, FAR, LONGER], "easy"))
    lines = {line.get_label(): line for line in axes.lines}
    own = lines["rounds, own labels"]
    assert np.asarray(own.get_xdata()).tolist() == [0.0, 1.0, 2.0]
    assert np.asarray(own.get_ydata()).tolist() == pytest.approx([0.5, 0.6, 0.65])
    assert len(axes.lines) == 3
