"""Audit of a recorded pipeline: silent on what is whole, and every edit named by file and row."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from recorded_pipeline import write_lock, write_recorded
from safetensors.numpy import load_file, save_file

from spa.audit import audit, audit_rows
from spa.audit.findings import Fault, Findings
from spa.dag import Tree, read_lock, read_stages
from spa.errors import ArtefactError
from spa.files import hash_file, write_json
from spa.layout import Layout
from spa.manifest import build_manifest, policy_hash, root_hash
from spa.param_files import load_params
from spa.records import content_hash, pair_hash

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return write_recorded(tmp_path_factory.mktemp("recorded") / "run", prompts=12)


@pytest.fixture
def run(whole: Layout, tmp_path: Path) -> Layout:
    return Layout(Path(shutil.copytree(whole.root, tmp_path / "run")))


@pytest.fixture
def rows(whole: Layout, tmp_path: Path) -> Layout:
    """The files alone, for what needs no record of them."""
    skip = shutil.ignore_patterns("spa", "stages")
    return Layout(Path(shutil.copytree(whole.root, tmp_path / "rows", ignore=skip)))


def by_rows_alone(layout: Layout, file: str) -> set[int | None]:
    found, params = Findings(), load_params(layout.params)
    audit_rows(
        layout, params, found, rounds=["1", "2"], redraw=True,
        model=lambda round: policy_hash(layout.policy(round)),
    )  # fmt: skip
    return {fault.row for fault in found.faults if fault.file == file}


def edit(file: Path, change: Callable[[Rows], Rows | None]) -> None:
    table = pq.read_table(file)
    rows = table.to_pylist()
    rows = change(rows) or rows
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)


def edit_yaml(file: Path, change: Callable[[Any], None]) -> None:
    value = yaml.safe_load(file.read_text())
    change(value)
    file.write_text(yaml.safe_dump(value, sort_keys=False))


def forge(layout: Layout) -> None:
    """Make all records anew, as someone could who can write every file."""
    params, tree = load_params(layout.params), Tree(layout.root)
    for stage in read_stages(layout).values():
        made = build_manifest(layout, stage, params, tree, lambda f: hash_file(layout.root / f))
        write_json(layout.manifest(stage.name), made)
    write_lock(layout)


def rows_at_fault(layout: Layout, file: str) -> set[int | None]:
    return {fault.row for fault in audit(layout).findings.faults if fault.file == file}


def test_a_whole_pipeline_has_no_fault_and_a_root_hash(whole: Layout) -> None:
    found = audit(whole)
    assert found.findings.faults == []
    assert found.findings.notes == []
    assert found.pairs == 8 + 12 + 12
    assert found.root_hash == root_hash(whole)


def _text(rows: Rows) -> None:
    rows[2]["chosen"] = "Something that nobody said."


def _text_and_id(rows: Rows) -> None:
    rows[2]["chosen"] = "Something that nobody said."
    rows[2]["pair_id"] = pair_hash(rows[2]["prompt"], rows[2]["chosen"], rows[2]["rejected"])


def _added(rows: Rows) -> Rows:
    own = {**rows[0], "chosen": "new", "margin": 1.0}
    own["pair_id"] = pair_hash(own["prompt"], "new", own["rejected"])
    return [*rows, own]


def _twice(rows: Rows) -> Rows:
    return [*rows, rows[1]]


def _reordered(rows: Rows) -> Rows:
    return [rows[0], rows[2], rows[1], *rows[3:]]


def _swapped(rows: Rows) -> None:
    row = rows[3]
    for one in ("{}", "{}_id", "{}_finish_reason"):
        a, b = one.format("chosen"), one.format("rejected")
        row[a], row[b] = row[b], row[a]
    row["pair_id"] = pair_hash(row["prompt"], row["chosen"], row["rejected"])


def _margin(rows: Rows) -> None:
    rows[4]["margin"] += 0.01


def _probability(rows: Rows) -> None:
    rows[4]["probability"] = 0.9


def _reward(rows: Rows) -> None:
    rows[5]["reward"] += 0.5


def _policy_logp(rows: Rows) -> None:
    rows[5]["policy_logp"] += 0.5
    rows[5]["reward"] += 0.5


def _tokens(rows: Rows) -> None:
    rows[6]["token_ids"][0] += 1


def _tokens_and_id(rows: Rows) -> None:
    row = rows[6]
    row["text"] = "other"
    row["seed"] += 1
    keys = ("prompt_id", "sample", "seed", "model", "token_ids")
    row["response_id"] = content_hash(*(row[key] for key in keys))


def _step(rows: Rows) -> None:
    rows[0]["pair_id"], rows[1]["pair_id"] = rows[1]["pair_id"], rows[0]["pair_id"]


def _softened(rows: Rows) -> None:
    rows[1]["flagged"] = True


ROWS = [
    ("round-1/pairs", _text, 3),
    ("round-1/pairs", _text_and_id, 3),
    ("round-1/pairs", _added, 13),
    ("round-1/pairs", lambda rows: rows[:5] + rows[6:], 6),
    ("round-1/pairs", _reordered, 2),
    ("round-1/pairs", _swapped, 4),
    ("round-1/pairs", _margin, 5),
    ("round-1/pairs", _probability, 5),
    ("round-2/kept", _text, 3),
    ("round-2/kept", _added, 11),
    ("round-2/kept", _twice, 11),
    ("round-2/kept", lambda rows: rows[:5] + rows[6:], 6),
    ("round-2/kept", _reordered, 2),
    ("round-2/kept", _swapped, 4),
    ("round-2/kept", _margin, 5),
    ("round-1/scores", _reward, 6),
    ("round-1/scores", _policy_logp, 6),
    ("round-1/scores", _reordered, 2),
    ("round-1/responses", _tokens, 7),
    ("round-1/responses", _tokens_and_id, 7),
    ("round-1/responses", _twice, 25),
    ("round-1/training_log", _step, 1),
    ("round-1/training_log", _softened, 2),
    ("round-0/training_log", lambda rows: rows[1:], 1),
    ("pools/seed", _text, 3),
    ("pools/seed", _text_and_id, 3),
    ("pools/1", _reordered, 2),
    ("pools/test", lambda rows: rows[:-1], 8),
]


@pytest.mark.parametrize(("name", "change", "row"), ROWS)
def test_an_edited_row_is_named_whatever_the_records_say(
    rows: Layout, name: str, change: Callable[[Rows], Rows | None], row: int
) -> None:
    file = f"data/{name}.parquet"
    edit(rows.root / file, change)
    assert row in by_rows_alone(rows, file)


@pytest.mark.parametrize(("name", "change", "row"), [ROWS[6], ROWS[13], ROWS[17], ROWS[25]])
def test_an_edit_is_named_by_file_and_row_and_after_forging_by_row_and_root(
    run: Layout, name: str, change: Callable[[Rows], Rows | None], row: int
) -> None:
    file = f"data/{name}.parquet"
    edit(run.root / file, change)
    assert {None, row} <= rows_at_fault(run, file)
    before = root_hash(run)
    forge(run)
    assert row in rows_at_fault(run, file)
    assert None not in rows_at_fault(run, file)
    assert root_hash(run) != before  # which a signed tag still holds


def test_a_flag_taken_away_is_named_where_its_pair_should_be_kept(rows: Layout) -> None:
    edit(rows.flagged(2), lambda own: own[:1])
    assert by_rows_alone(rows, "data/round-2/kept.parquet") == {7}


def test_a_held_out_prompt_in_a_pool_is_named(run: Layout) -> None:
    test = pq.read_table(run.pool("test")).to_pylist()
    edit(run.pool(1), lambda rows: [*rows[:3], test[0], *rows[4:]])
    assert 4 in rows_at_fault(run, "data/pools/1.parquet")


def test_a_gold_pair_in_training_is_named(run: Layout) -> None:
    gold = pq.read_table(run.pool("gold")).to_pylist()[0]
    edit(run.kept(1), lambda rows: [*rows[:3], {**rows[3], **gold}, *rows[4:]])
    edit(run.pool("seed"), lambda rows: [gold, *rows[1:]])
    said = [str(fault) for fault in audit(run).findings.faults]
    for start in ("data/round-1/kept.parquet, row 4", "data/pools/seed.parquet, row 1"):
        assert any(s.startswith(f"{start}: trains on {gold['pair_id']}, a gold pair") for s in said)


def test_files_swapped_between_rounds_are_named(run: Layout) -> None:
    first, second = run.responses(1).read_bytes(), run.responses(2).read_bytes()
    run.responses(1).write_bytes(second)
    run.responses(2).write_bytes(first)
    forge(run)
    for round in (1, 2):
        assert 1 in rows_at_fault(run, f"data/round-{round}/responses.parquet")


def test_a_replaced_policy_is_named_and_so_are_the_answers_that_are_not_its(run: Layout) -> None:
    file = run.policy(1) / "model.safetensors"
    save_file({"weight": load_file(file)["weight"] + 1}, file)
    name = "data/round-1/policy/model.safetensors"
    assert rows_at_fault(run, name) == {None}
    forge(run)
    assert rows_at_fault(run, name) == set()
    assert rows_at_fault(run, "data/round-2/responses.parquet") == set(range(1, 25))


def test_the_reference_of_another_round_is_named(run: Layout) -> None:
    edit_yaml(run.params, lambda params: params["rounds"]["2"].update(prev="0"))
    said = [str(fault) for fault in audit(run).findings.faults]
    assert any(s.startswith("dvc.lock: train@2, deps: data/round-1/policy") for s in said)
    assert any("rounds.2.prev: found '0'; stages ran with '1'" in s for s in said)
    assert any(
        s.startswith("data/round-2/responses.parquet, row 1: sampled by model") for s in said
    )


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


def _command(lock: Any) -> None:
    lock["stages"]["filter@1"]["cmd"] = "spa filter --round 2"


@pytest.mark.parametrize(
    ("change", "stage"),
    [(_md5, "train@1"), (_dep, "train@2"), (_param, "judge@1"), (_gone, "filter@1"),
     (_command, "filter@1")],
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


def test_a_run_without_manifests_is_said_to_be_of_an_older_spa(run: Layout) -> None:
    shutil.rmtree(run.manifest("x").parent)
    found = audit(run)
    assert found.root_hash is None
    assert found.findings.faults[0].file == "data/manifests"
    with pytest.raises(ArtefactError, match="wanted every stage's manifest; run `dvc repro`"):
        root_hash(run)


def test_the_command_exits_1_with_one_object_or_one_line_a_fault(run: Layout) -> None:
    edit(run.kept(1), _margin)
    spa = [sys.executable, "-c", "from stages._app import run; run()", "audit"]
    done = subprocess.run([*spa, "--json"], cwd=run.root, capture_output=True, text=True)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["ok"] is False
    assert {"file": "data/round-1/kept.parquet", "row": 5} in [
        {"file": f["file"], "row": f["row"]} for f in told["faults"]
    ]
    assert done.stderr == ""


def test_dvc_agrees_with_the_hashes_made_here(run: Layout) -> None:
    """DVC itself records the same files, in a dvc.lock of its own."""
    ours = read_lock(run)
    run.dvc_lock.unlink()
    dvc = Path(sys.executable).parent / "dvc"
    for command in (["init", "--no-scm", "--quiet"], ["commit", "--force", "--quiet"]):
        subprocess.run([dvc, *command], cwd=run.root, check=True, capture_output=True)
    theirs = read_lock(run)
    assert theirs.keys() == ours.keys()
    for name, stage in ours.items():
        for kind in ("deps", "outs"):
            key = itemgetter("path")
            assert sorted(theirs[name][kind], key=key) == sorted(stage[kind], key=key)
        assert theirs[name].get("params") == stage.get("params")
