"""Faults of params.yaml, dvc.yaml and dvc.lock, and of the files that they name."""

import shutil

from spa.dag import read_stages
from spa.doctor.settings import (
    check_dag,
    check_judges,
    check_lock,
    check_steps,
)
from spa.layout import Layout
from spa.planning.pending import pending_stages
from tests.spa.doctor.examined import edit, faults_of


def test_what_dvc_yaml_reads_and_nobody_writes_must_be_there(pipeline: Layout) -> None:
    assert faults_of(check_dag(pipeline)) == []
    shutil.rmtree(pipeline.raw / "annotations")
    assert faults_of(check_dag(pipeline))[0].startswith("data/raw/annotations: not found")


def test_a_lock_that_was_cut_is_found_and_the_plan_takes_all_stages(pipeline: Layout) -> None:
    assert [f.text for f in check_lock(pipeline)] == ["0 stages have run"]
    cut = "schema: '2.0'\nstages:\n  base:\n    outs:\n    - path: data/base\n      md5: 13303"
    pipeline.dvc_lock.write_text(cut, encoding="utf-8")
    assert "base, outs, data/base: md5 13303 is cut" in faults_of(check_lock(pipeline))[0]
    found, why = pending_stages(pipeline, read_stages(pipeline))
    assert found == list(read_stages(pipeline))
    assert why is not None
    assert "check it out from git again" in why


def test_judges_that_are_not_there(pipeline: Layout) -> None:
    def change(raw: dict) -> None:  # type: ignore[type-arg]
        raw["judge"].update(method="reward_model", model="models/none")
        raw["evaluate"].update(annotator=["llm", "recorded"], llm="data/base/policy")
        raw["evaluate"]["recorded"] = "data/raw/annotations/none.json"
        raw["rounds"]["2"]["judge"] = {"method": "rubric"}
        raw["rubric"]["function"] = "nothing"

    faults = faults_of(check_judges(pipeline, edit(pipeline, change)))
    for key in ("judge.model: found no folder", "rounds.1.judge.model", "evaluate.recorded", "rub"):
        assert any(text.startswith(key) for text in faults), key
    assert not any("evaluate.llm" in text for text in faults)  # the pipeline makes that one


def test_a_round_with_too_few_prompts_names_its_key(pipeline: Layout) -> None:
    params = edit(pipeline, lambda raw: raw["rounds"]["2"].update(prompts=3))
    assert any(text.startswith("rounds.2.prompts") for text in faults_of(check_steps(params)))
