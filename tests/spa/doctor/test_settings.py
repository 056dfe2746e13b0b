"""Faults of params.yaml, dvc.yaml and dvc.lock, and of the files that they name."""

import shutil
from typing import Any

import pytest

from spa.dag import read_stages
from spa.doctor.settings import (
    check_adapters,
    check_base,
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
    def change(raw: dict[str, Any]) -> None:
        raw["judge"].update(method="reward_model", model="models/none")
        raw["evaluate"].update(annotator=["llm", "recorded"], llm="data/base/policy")
        raw["evaluate"]["recorded"] = "data/raw/annotations/none.json"
        raw["rounds"]["2"]["judge"] = {"method": "rubric"}
        raw["rubric"]["function"] = "nothing"
        raw["evaluate"] |= {"against": "reference", "alpaca_eval": {"config": "no_such_judge"}}
        raw["evaluate"]["annotator"].append("alpaca_eval")
        raw["evaluate"]["regression_data"] = "data/raw/annotations/none.csv"
        raw["split"]["instructions"] = "data/raw/annotations/set.json"

    faults = faults_of(check_judges(pipeline, edit(pipeline, change)))
    keys = (
        "judge.model: found no folder", "rounds.1.judge.model", "evaluate.recorded", "rub",
        "evaluate.regression_data",
        "alpaca_eval: evaluate.alpaca_eval.config: found 'no_such_judge'",
    )  # fmt: skip
    for key in keys:
        assert any(text.startswith(key) for text in faults), key
    assert not any("evaluate.llm" in text for text in faults)  # the pipeline makes that one


def test_a_round_with_too_few_prompts_names_its_key(pipeline: Layout) -> None:
    params = edit(pipeline, lambda raw: raw["rounds"]["2"].update(prompts=3))
    assert any(text.startswith("rounds.2.prompts") for text in faults_of(check_steps(params)))


def test_a_base_of_no_known_kind_is_told_before_anything_runs(pipeline: Layout) -> None:
    def said(source: str) -> list[str]:
        params = edit(pipeline, lambda raw: raw["base"].update(source=source))
        return faults_of(check_base(pipeline, params))

    wanted = "base.source: base: found './nothing-here'; wanted a folder"
    assert said("./nothing-here")[0].startswith(wanted)
    for good in ("org/name@" + "0" * 40, "wheel:a==1#sha256=" + "0" * 64, "data"):
        assert said(good) == []


def test_adapters_without_peft_are_told(pipeline: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    params = edit(pipeline, lambda raw: raw["train"].update(lora={"rank": 2, "alpha": 4}))
    assert faults_of(check_adapters(params)) == []
    monkeypatch.setattr("spa.doctor.settings.find_spec", lambda name: None)
    assert faults_of(check_adapters(params))[0].startswith("train.lora: peft is not installed")
