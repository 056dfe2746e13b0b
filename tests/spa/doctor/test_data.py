"""Data with bad rows, too few of them, or on the Hub."""

import json

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


@pytest.mark.parametrize(("action", "state"), [("stop", "fault"), ("drop", "note")])
def test_prompts_that_pools_share_but_for_case_are_told(
    pipeline: Layout, action: str, state: str
) -> None:
    """Pools are drawn by all letters, so that some of 24 loud twins come to lie apart."""
    rows = [json.loads(line) for line in (pipeline.raw / "pairs.jsonl").read_text().splitlines()]
    loud = "".join(json.dumps({"prompt": row["prompt"].upper()}) + "\n" for row in rows)
    (pipeline.raw / "prompts.jsonl").write_text(loud, encoding="utf-8")
    checks = {"overlap": {"action": action}}
    params = edit(pipeline, lambda raw: raw["filter"].update(checks=checks))
    data, _ = check_data(params.split, pipeline.root)
    assert data is not None
    first = check_pools(params, data)[1][0]
    assert (first.state, "prompts of round 1 are those of" in first.text) == (state, True)
