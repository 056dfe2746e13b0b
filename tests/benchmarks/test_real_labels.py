"""How study 2 reads its judges: the sign comes from the seed alone, no half judges itself."""

from typing import Any

import pytest
import real_labels


def _pair(likelihood: float, prompt: str = "0", **others: float) -> dict[str, Any]:
    return {"prompt_id": prompt, "likelihood": likelihood, **others}


@pytest.mark.parametrize(
    ("seed", "wanted"), [([2.0, 1.0, -1.0], [1.0, 0.0, 0.5]), ([-2.0, -1.0, 1.0], [0.0, 1.0, 0.5])]
)
def test_a_single_number_has_the_sign_that_fits_the_seed(
    seed: list[float], wanted: list[float]
) -> None:
    piece = {
        "seed": [_pair(margin) for margin in seed],
        "held_out": [_pair(margin) for margin in (3.0, -3.0, 0.0)],
    }
    assert real_labels.right_by("likelihood", piece) == wanted


def test_a_learnt_judge_keeps_its_own_sign() -> None:
    piece = {
        "seed": [_pair(0.0, implicit=-1.0)] * 3,
        "held_out": [_pair(0.0, implicit=margin) for margin in (1.0, -1.0)],
    }
    assert real_labels.right_by("implicit", piece) == [1.0, 0.0]


def test_both_margins_are_weighted_by_the_other_half_of_the_prompts() -> None:
    """The implicit judge is right in the even half, wrong in the odd: each misleads the other."""
    even = [_pair(0.0, "10", surface=0.0, implicit=1.0 + i) for i in range(20)]
    odd = [_pair(0.0, "11", surface=0.0, implicit=-1.0 - i) for i in range(20)]
    found = real_labels._crossed([*even, *odd])
    assert all(margin < 0 for margin in found)
