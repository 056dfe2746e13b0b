"""Every fault is found, all at once, with its key or file; a healthy pipeline has none."""

import yaml

from spa.doctor import examine
from spa.layout import Layout
from tests.spa.doctor.examined import edit, faults_of, notes_of


def test_a_healthy_pipeline_has_no_fault(pipeline: Layout) -> None:
    findings = examine(pipeline)
    assert faults_of(findings) == []
    assert {f.check for f in findings} >= {
        "params", "data", "pools", "template", "lengths", "memory", "disk", "versions", "device",
        "mlflow", "remote", "steps", "dvc.yaml", "judges", "compute", "tokenizers",
    }  # fmt: skip
    assert not (pipeline.root / "mlflow.db").exists()  # nothing is written


def test_five_faults_of_params_and_one_of_the_data_are_named_at_once(pipeline: Layout) -> None:
    raw = yaml.safe_load(pipeline.params.read_text())
    raw["train"] |= {"alpha": 7, "learning_speed": 1}
    raw["generate"]["temperature"] = -1
    raw["judge"]["method"] = "oracle"
    raw["rounds"]["2"]["prev"] = "9"
    pipeline.params.write_text(yaml.safe_dump(raw, sort_keys=False))
    with (pipeline.raw / "pairs.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"prompt": "Why?"}\n')
    faults = faults_of(examine(pipeline))
    for key in (
        "train.alpha", "train.learning_speed", "generate.temperature", "judge.method",
        "rounds.2.prev", "pairs.jsonl, row 25, field 'chosen'",
    ):  # fmt: skip
        assert any(key in text for text in faults), key


def test_a_missing_params_file_is_a_fault(pipeline: Layout) -> None:
    pipeline.params.unlink()
    assert any("params.yaml: not found" in text for text in faults_of(examine(pipeline)))


def test_a_base_that_is_not_here_yet_is_a_note(pipeline: Layout) -> None:
    edit(pipeline, lambda raw: raw["base"].update(source="org/name@" + "0" * 40))
    findings = examine(pipeline)
    assert faults_of(findings) == []
    assert any("wait for `dvc repro base`" in text for text in notes_of(findings))
