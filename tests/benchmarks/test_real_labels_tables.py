"""How study 2 reads its judges: the sign comes from the seed alone, no half judges itself."""

from typing import Any

import pytest
import real_labels_tables


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
    assert real_labels_tables.right_by("likelihood", piece) == wanted


def test_a_learnt_judge_keeps_its_own_sign() -> None:
    piece = {
        "seed": [_pair(0.0, implicit=-1.0)] * 3,
        "held_out": [_pair(0.0, implicit=margin) for margin in (1.0, -1.0)],
    }
    assert real_labels_tables.right_by("implicit", piece) == [1.0, 0.0]


def test_both_margins_are_weighted_by_the_other_half_of_the_prompts() -> None:
    """The implicit judge is right in the even half, wrong in the odd: each misleads the other."""
    even = [_pair(0.0, "10", surface=0.0, implicit=1.0 + i) for i in range(20)]
    odd = [_pair(0.0, "11", surface=0.0, implicit=-1.0 - i) for i in range(20)]
    found = real_labels_tables._crossed([*even, *odd])
    assert all(margin < 0 for margin in found)


def test_growth_is_told_of_pairs_held_out_at_every_number_of_labels() -> None:
    """300 labels hold two pairs out, 32 and 128 a third one too."""
    known = {"surface": 1.0, "llm": 0.0, "length": 1}
    one, two, third = (_pair(n, f"p{n:.0f}", **known) for n in (1.0, 2.0, 3.0))
    seed = [_pair(1.0, llm=1.0, length=1.0)]
    rows: list[dict[str, Any]] = [
        {
            "dataset": "balanced", "labels": labels, "split": 1, "seed": seed,
            "held_out": [{**pair, "implicit": margin} for pair, margin in held_out],
        }
        for labels, held_out in (
            (32, [(third, 1.0), (two, -1.0), (one, -1.0)]),
            (128, [(one, -1.0), (two, 1.0), (third, 1.0)]),
            (300, [(one, 1.0), (two, 1.0)]),
        )
    ]  # fmt: skip
    growth = real_labels_tables.tables(rows).split("###")[-1]
    line = next(line for line in growth.splitlines() if "| implicit |" in line)
    cells = [cell.strip().split(" ")[0] for cell in line.split("|")[1:-1]]
    assert cells == ["balanced", "1", "2", "implicit", "0.0", "50.0", "100.0", "+100.0"]
    assert "by number of labels" not in real_labels_tables.tables(rows[:2])
    rows[0]["held_out"][1]["likelihood"] = 1.5
    with pytest.raises(ValueError, match="split 1: the rows know other pairs"):
        real_labels_tables.tables(rows)
