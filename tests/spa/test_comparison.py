"""Comparing policies: paired by prompt, against a bootstrap written another way."""

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo as DvcRepo
from git import Actor, Repo

from spa.comparison import compare_policies, read_policy_annotations
from spa.errors import ArtefactError, InputError
from spa.files import write_json
from spa.layout import Layout


def _rows(wins: Sequence[float], *, start: int = 0, **fields: Any) -> list[dict[str, Any]]:
    row = {
        "annotator": "rubric",
        "dataset": "test",
        "generator_1": "base",
        "output_1": "b",
        **fields,
    }
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
    assert found.unpaired == 2  # p0 and p3


def test_any_of_several_annotators_is_asked_by_name(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for round, names in (("1", ["llm", "rubric"]), ("2", ["rubric"])):
        folder = layout.evaluation(round)
        metrics = {"annotator": names[0], "annotators": dict.fromkeys(names)}
        write_json(folder / "metrics.json", metrics)
        for name in names:
            file = "annotations.json" if name == names[0] else f"annotations_{name}.json"
            write_json(folder / file, _rows([1.0], annotator=name))
    for round in ("1", "2"):
        [row] = read_policy_annotations(layout, round, "rubric")
        assert row["annotator"] == "rubric"
    with pytest.raises(InputError, match="annotations of 2 by rubric; wanted llm"):
        read_policy_annotations(layout, "2", "llm")
    with pytest.raises(ArtefactError, match="no evaluation of '7'; wanted one of 1, 2, or REV"):
        read_policy_annotations(layout, "7")


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="none in both"):
        compare_policies(_rows([1.0]), _rows([1.0], start=5), seed=0)
    with pytest.raises(InputError, match="annotator rubric of the first and llm of the second"):
        compare_policies(_rows([1.0]), _rows([1.0], annotator="llm"), seed=0)
    with pytest.raises(InputError, match="baseline base of the first and gpt4 of the second"):
        compare_policies(_rows([1.0]), _rows([1.0], generator_1="gpt4"), seed=0)


def test_prompts_with_another_answer_of_the_baseline_are_counted() -> None:
    first, second = _rows([1.0, 0.0, 1.0]), _rows([1.0, 0.0], output_1="other")
    assert compare_policies(first, second, seed=0).other_baseline == 2
    assert compare_policies(first, _rows([1.0]), seed=0).other_baseline == 0


def test_a_revision_is_read_in_a_repository_that_holds_more_than_the_pipeline(
    tmp_path: Path,
) -> None:
    layout = Layout(tmp_path / "mine")
    file = layout.evaluation("2") / "annotations.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(rows := _rows([1.0])))
    repository = Repo.init(tmp_path)
    DvcRepo.init(str(layout.root), subdir=True).close()
    repository.index.add(["mine/data/evaluation/2/annotations.json", "mine/.dvc/config"])
    repository.index.commit("one", author=Actor("a", "a@b"), committer=Actor("a", "a@b"))
    file.unlink()
    assert read_policy_annotations(layout, "HEAD:2") == rows
    with pytest.raises(ArtefactError, match=r"HEAD:3: data/evaluation/3/annotations.json cannot"):
        read_policy_annotations(layout, "HEAD:3")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1], "row 1: found 1; wanted annotator, dataset"),
        ([*_rows([1.0]), {"annotator": "rubric"}], "row 2: found {'annotator': 'rubric'}; wanted"),
        ({}, "found no list; wanted annotations"),
    ],
)
def test_annotations_of_another_shape_are_named(tmp_path: Path, content: Any, said: str) -> None:
    layout = Layout(tmp_path)
    write_json(layout.evaluation("2") / "annotations.json", content)
    with pytest.raises(ArtefactError, match=re.escape(said)) as error:
        read_policy_annotations(layout, "2")
    assert str(error.value).startswith("data/evaluation/2/annotations.json")


def test_differences_may_all_be_losses_or_none() -> None:
    """Five losses of five: Wilson's interval from -1 to 1 is as wide as that of five wins."""
    lost = compare_policies(_rows([1.0] * 5), _rows([0.0] * 5), seed=0)
    assert (lost.difference, lost.low) == (-1.0, -1.0)
    assert lost.high == pytest.approx(1 - 2 * 0.5655, abs=2e-4)
    same = compare_policies(_rows([1.0] * 5), _rows([1.0] * 5), seed=0)
    assert (same.low, same.difference, same.high) == (0.0, 0.0, 0.0)
