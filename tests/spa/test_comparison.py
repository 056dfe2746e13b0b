"""Comparing policies: paired by prompt, against a bootstrap written another way."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from spa.comparison import compare_policies
from spa.errors import InputError


def _rows(wins: Sequence[float], *, start: int = 0, **fields: Any) -> list[dict[str, Any]]:
    row = {"annotator": "rubric", "dataset": "test", **fields}
    return [
        {**row, "prompt_id": f"p{start + i}", "preference": 1 + win} for i, win in enumerate(wins)
    ]


def _slow_bootstrap(differences: Sequence[float]) -> tuple[float, float]:
    """The percentile bootstrap in plain Python, with a random state of its own."""
    draw = random.Random(0)
    count = len(differences)
    means = sorted(sum(draw.choices(differences, k=count)) / count for _ in range(5000))
    return means[125], means[4875]


def test_the_difference_and_its_interval_agree_with_another_bootstrap() -> None:
    draw = random.Random(1)
    first = [float(draw.random() < 0.5) for _ in range(150)]
    second = [win if draw.random() < 0.7 else 1.0 for win in first]
    found = compare_policies(_rows(first), _rows(second), seed=3)
    assert found.n == 150
    assert found.first == pytest.approx(sum(first) / 150)
    assert found.difference == pytest.approx(found.second - found.first)
    low, high = _slow_bootstrap([b - a for a, b in zip(first, second, strict=True)])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_prompts_are_paired_by_id_and_development_prompts_take_no_part() -> None:
    """p1 and p2 are shared: 0 then 1, and 1 then 1."""
    first = _rows([0.0, 0.0, 1.0]) + _rows([0.0] * 9, start=20, dataset="development")
    second = _rows([1.0, 1.0, 0.0], start=1)[::-1]
    found = compare_policies(first, second, seed=0)
    assert (found.n, found.first, found.second, found.difference) == (2, 0.5, 1.0, 0.5)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="none in both"):
        compare_policies(_rows([1.0]), _rows([1.0], start=5), seed=0)
    with pytest.raises(InputError, match="rubric annotated the first and llm the second"):
        compare_policies(_rows([1.0]), _rows([1.0], annotator="llm"), seed=0)
