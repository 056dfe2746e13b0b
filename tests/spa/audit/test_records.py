"""Files, params and commands against dvc.lock and the manifests."""

import json
from typing import Any

import pytest
from recorded_pipeline import write_lock

from spa.audit import audit
from spa.audit.findings import Fault
from spa.layout import Layout
from tests.spa.audit.tampering import edit_yaml


def test_params_edited_after_the_run_are_named_by_key_and_stage(run: Layout) -> None:
    edit_yaml(run.params, lambda params: params["train"].update(beta=0.2))
    faults = [f for f in audit(run).findings.faults if f.file == "params.yaml"]
    assert [str(f) for f in faults if "train.beta" in f.what] == [
        "params.yaml: train.beta: found 0.2; stages ran with 0.1 "
        "(seed, judge@1, judge@2, train@1, train@2, report)"
    ]


def _md5(lock: Any) -> None:
    outs = lock["stages"]["train@1"]["outs"]
    next(out for out in outs if out["path"] == "data/round-1/policy")["md5"] = f"{'0' * 32}.dir"


def _dep(lock: Any) -> None:
    lock["stages"]["train@2"]["deps"][0].update(path="data/round-0/policy")


def _param(lock: Any) -> None:
    lock["stages"]["judge@1"]["params"]["params.yaml"]["train.beta"] = 0.3


def _gone(lock: Any) -> None:
    del lock["stages"]["filter@1"]


def _files(lock: Any) -> None:
    outs = lock["stages"]["train@1"]["outs"]
    next(out for out in outs if out["path"] == "data/round-1/policy")["nfiles"] = 9


def _size(lock: Any) -> None:
    lock["stages"]["judge@2"]["outs"][0]["size"] += 1


def _hash(lock: Any) -> None:
    lock["stages"]["judge@2"]["deps"][0]["hash"] = "md5-dos2unix"


def _no_hash(lock: Any) -> None:
    del lock["stages"]["report"]["outs"][0]["hash"]


def _added(lock: Any) -> None:
    lock["stages"]["tuning"] = {"cmd": "spa tune", "outs": lock["stages"]["judge@1"]["outs"]}


def _command(lock: Any) -> None:
    lock["stages"]["filter@1"]["cmd"] = "spa filter --round 2"


@pytest.mark.parametrize(
    ("change", "stage"),
    [(_md5, "train@1"), (_dep, "train@2"), (_param, "judge@1"), (_gone, "filter@1"),
     (_command, "filter@1"), (_files, "train@1, data/round-1/policy: found nfiles 9"),
     (_size, "judge@2"), (_hash, "hash md5-dos2unix"), (_no_hash, "report"),
     (_added, "has the stage tuning")],
)  # fmt: skip
def test_an_edited_lock_is_named_with_the_stage(run: Layout, change: Any, stage: str) -> None:
    edit_yaml(run.dvc_lock, change)
    faults = audit(run).findings.faults
    assert {fault.file for fault in faults} == {"dvc.lock"}
    assert any(stage in fault.what for fault in faults)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("outputs", "data/round-1/pairs.parquet"), "0" * 64),
        (("rows", "data/round-1/pairs.parquet"), 99),
        (("models", "data/base/policy"), "0" * 16),
        (("params", "judge", "method"), "random"),
        (("stage",), "train"),
    ],
)
def test_an_edited_manifest_is_named(run: Layout, keys: tuple[str, ...], value: Any) -> None:
    file = run.manifest("judge@1")
    manifest = own = json.loads(file.read_text())
    for key in keys[:-1]:
        own = own[key]
    own[keys[-1]] = value
    file.write_text(json.dumps(manifest))
    name = "data/manifests/judge@1.json"
    assert {fault.file for fault in audit(run).findings.faults} == {name}
    write_lock(run)
    faults = audit(run).findings.faults
    assert {fault.file for fault in faults} == {name}
    assert any(keys[-1] in fault.what for fault in faults)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("params",), "params: rubric."),
        (("params", "judge"), "params: judge."),
        (("params", "judge", "method"), "params: judge.method"),
        (("inputs",), "inputs: data/base/policy"),
        (("outputs",), "outputs: data/round-1/pairs.parquet"),
        (("outputs", "data/round-1/pairs.parquet"), "outputs: data/round-1/pairs.parquet"),
        (("rows",), "rows"),
        (("models",), "models"),
        (("round",), "round"),
        (("schema_version",), "schema_version"),
    ],
)
def test_a_key_taken_out_of_a_manifest_is_named_by_forged_records_too(
    run: Layout, keys: tuple[str, ...], said: str
) -> None:
    file = run.manifest("judge@1")
    manifest = own = json.loads(file.read_text())
    for key in keys[:-1]:
        own = own[key]
    del own[keys[-1]]
    file.write_text(json.dumps(manifest))
    write_lock(run)
    faults = audit(run).findings.faults
    assert {fault.file for fault in faults} == {"data/manifests/judge@1.json"}
    assert any(said in fault.what for fault in faults)


def test_a_round_taken_out_of_params_leaves_a_note(run: Layout) -> None:
    edit_yaml(run.params, lambda params: params["rounds"].pop("2"))
    notes = audit(run).findings.notes
    assert "dvc.lock: train@2 is of no round any more; not looked at" in notes


def test_a_missing_file_and_a_new_raw_row_are_named(run: Layout) -> None:
    run.flagged(1).unlink()
    with (run.raw / "prompts.jsonl").open("a") as file:
        file.write('{"prompt": "One more?"}\n')
    found = audit(run).findings
    assert Fault("data/raw/prompts.jsonl", None, "changed since split read it") in found.faults
    assert any(f.what.startswith("missing since filter@1 wrote it") for f in found.faults)
    assert any("were not drawn again" in note for note in found.notes)


def test_code_that_changed_is_a_note_and_no_fault(run: Layout) -> None:
    with (run.root / "spa" / "loss.py").open("a") as file:
        file.write("# a word\n")
    found = audit(run).findings
    assert found.faults == []
    assert found.notes == ["spa/loss.py: this code changed since it ran; `dvc status` says more"]


def test_of_a_part_that_is_not_here_files_are_named_and_no_rows(run: Layout) -> None:
    gone = [run.responses(1), run.scores(1), run.pool("test")]
    for file in gone:
        file.unlink()
    found = audit(run).findings
    assert {fault.file for fault in found.faults} == {run.show(file) for file in gone}
    assert all(fault.row is None for fault in found.faults)
    assert "files missing: 3; `dvc pull` brings those that a remote has" in found.notes
    told = f"for want of {run.show(gone[0])}, {run.show(gone[1])}"
    assert any(note.endswith(told) for note in found.notes)
