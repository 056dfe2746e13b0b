"""Data with bad rows, too few of them, or on the Hub."""

import pytest

from spa.doctor.data import check_data, check_pools
from spa.doctor.settings import (
    check_steps,
)
from spa.layout import Layout
from spa.param_files import load_params
from tests.spa.doctor.examined import edit, faults_of, notes_of


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("seed_pairs", 2, "split.seed_pairs: train: found 2 pairs"),
        ("seed_pairs", 30, "split.seed_pairs wants 30 pairs"),
        ("test", 90, "wants"),
    ],
)
def test_too_little_data_is_a_fault(pipeline: Layout, key: str, value: int, named: str) -> None:
    params = edit(pipeline, lambda raw: raw["split"].update({key: value}))
    data, _ = check_data(params.split, pipeline.root)
    assert data is not None
    faults = faults_of(check_steps(params) + check_pools(params, data)[1])
    assert any(named in text for text in faults)


def test_many_bad_rows_are_counted(pipeline: Layout) -> None:
    with (pipeline.raw / "pairs.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("no json\n" * 9)
    params = load_params(pipeline.params)
    data, findings = check_data(params.split, pipeline.root)
    assert data is None
    assert len(faults_of(findings)) == 6
    assert "4 more faults" in faults_of(findings)[-1]


def test_data_on_the_hub_are_a_note(pipeline: Layout) -> None:
    params = edit(pipeline, lambda raw: raw["split"].update(source="org/name@" + "0" * 40))
    data, findings = check_data(params.split, pipeline.root)
    assert data is None
    assert (len(notes_of(findings)), faults_of(findings)) == (1, [])
