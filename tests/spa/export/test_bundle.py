"""The bundle: equal runs give equal bytes, nothing names the machine, nobody's work is lost."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from spa.errors import ArtefactError, InputError, ParamsError
from spa.export import export_round
from spa.files import hash_file, hash_folder, read_json, write_json
from spa.layout import Layout
from spa.manifest import root_hash
from spa.param_files import load_params
from tests.exported_run import copy_run, record


def _export(run: Layout, out: Path | None = None, round: int = 2) -> Path:
    return export_round(run, load_params(run.params), round, out).folder


def _files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def _edit_params(run: Layout, **sections: dict[str, Any]) -> None:
    values = yaml.safe_load(run.params.read_text())
    for name, own in sections.items():
        values[name].update(own)
    run.params.write_text(yaml.safe_dump(values, sort_keys=False))


def test_equal_runs_give_equal_bytes_wherever_they_are(
    exported_run: Layout, tmp_path: Path
) -> None:
    other = copy_run(exported_run, tmp_path / "elsewhere" / "run")
    assert hash_folder(_export(exported_run, tmp_path / "a")) == hash_folder(_export(other))
    assert other.export(2) == other.root / "data" / "export" / "round-2"


def test_the_manifest_has_every_file_and_the_root_hash(
    exported_run: Layout, tmp_path: Path
) -> None:
    made = export_round(exported_run, load_params(exported_run.params), 2, tmp_path / "out")
    manifest = read_json(made.folder / "manifest.json")
    assert manifest["files"].keys() | {"manifest.json"} == _files(made.folder) == set(made.files)
    for name, sha256 in manifest["files"].items():
        assert hash_file(made.folder / name) == sha256
    assert manifest["root_hash"] == made.root_hash == root_hash(exported_run)
    assert made.bundle_hash == hash_file(made.folder / "manifest.json")
    assert manifest["schema_version"] == 1


def test_the_model_is_a_copy_and_no_link(exported_run: Layout, tmp_path: Path) -> None:
    folder, policy = _export(exported_run, tmp_path / "out"), exported_run.policy(2)
    assert _files(folder / "model") == _files(policy) | {"README.md"}
    for name in _files(policy):
        assert (folder / "model" / name).read_bytes() == (policy / name).read_bytes()
        assert not (folder / "model" / name).samefile(policy / name)


def test_no_file_names_a_place_on_the_machine(exported_run: Layout, tmp_path: Path) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    secret = tmp_path / "home" / "bob"
    _edit_params(run, base={"source": f"{secret}/my-model"}, split={"source": f"{secret}/p.jsonl"})
    config = run.policy(2) / "config.json"
    write_json(config, {**read_json(config), "_name_or_path": f"{secret}/my-model"})
    record(run)
    folder = _export(run)
    for name in _files(folder):
        assert str(tmp_path).encode() not in (folder / name).read_bytes(), name
    assert "`my-model`" in (folder / "model" / "README.md").read_text()
    assert read_json(folder / "model" / "config.json")["_name_or_path"] == "my-model"
    ours, theirs = load_params(run.params), load_params(folder / "params.yaml")
    assert theirs.base.source == "my-model"
    assert theirs.split.source == "p.jsonl"
    assert theirs.train == ours.train
    assert theirs.rounds == ours.rounds


def test_metrics_are_those_of_the_run(exported_run: Layout, tmp_path: Path) -> None:
    metrics = read_json(_export(exported_run, tmp_path / "out", 1) / "metrics.json")
    summary = read_json(exported_run.report / "summary.json")
    own = [row for row in summary["rounds"] if row["round"] != "2"]
    assert metrics["rounds"] == own
    assert [row["round"] for row in own] == ["base", "0", "1", "rival"]
    evaluation = read_json(exported_run.evaluation(1) / "metrics.json")
    assert metrics["evaluation"]["1"] == evaluation
    assert metrics["calibration"] == {"1": read_json(exported_run.calibration(1) / "metrics.json")}


def test_round_0_is_a_bundle_of_its_own(exported_run: Layout, tmp_path: Path) -> None:
    folder = _export(exported_run, tmp_path / "out", 0)
    assert {n for n in _files(folder) if n.endswith(".parquet")} == {"data/seed.parquet"}
    assert "Rounds" not in (folder / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("file", "stage"),
    [
        ("data/round-2/policy/model.safetensors", "train@2"),
        ("data/round-2/policy/chat_template.jinja", "train@2"),
        ("data/pools/seed.parquet", "split"),
        ("data/evaluation/1/metrics.json", "evaluate@1"),
        ("data/report/summary.json", "report"),
    ],
)
def test_a_tampered_file_stops_it_and_the_earlier_export_stays(
    exported_run: Layout, tmp_path: Path, file: str, stage: str
) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    before = hash_folder(_export(run))
    with (run.root / file).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(ArtefactError) as caught:
        _export(run)
    assert str(caught.value).startswith(f"{file}: found another file than {stage} wrote")
    assert hash_folder(run.export(2)) == before
    assert [p.name for p in run.export(2).parent.iterdir()] == ["round-2"]


def test_a_file_that_no_stage_wrote_is_not_published(exported_run: Layout, tmp_path: Path) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    (run.policy(2) / "notes.txt").write_text("mine")
    with pytest.raises(ArtefactError, match=r"policy/notes.txt: is in no stage's manifest"):
        _export(run)
    assert not run.export(2).exists()


def test_a_policys_json_that_is_not_utf8_is_one_line(exported_run: Layout, tmp_path: Path) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    with (run.policy(2) / "generation_config.json").open("ab") as stream:
        stream.write(b"\xe9")
    record(run)
    with pytest.raises(
        ArtefactError, match=r"2/policy/generation_config\.json: is not JSON \('utf"
    ):
        _export(run)
    assert not run.export(2).exists()


def test_params_of_another_run_stop_it(exported_run: Layout, tmp_path: Path) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    _edit_params(run, train={"beta": 0.3})
    with pytest.raises(ParamsError, match=r"params.yaml: train.beta: found another value .* seed"):
        _export(run)


def test_a_round_that_is_not_there_or_not_run_is_refused(
    exported_run: Layout, tmp_path: Path
) -> None:
    with pytest.raises(ParamsError, match="wanted round 3"):
        _export(exported_run, tmp_path / "out", 3)
    run = copy_run(exported_run, tmp_path / "run")
    run.manifest("report").unlink()
    with pytest.raises(ArtefactError, match=r"data/manifests/report.json: not found"):
        _export(run)


def test_only_an_earlier_export_is_replaced(exported_run: Layout, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    _export(exported_run, out, 1)  # an empty folder will do
    _export(exported_run, out, 2)
    assert read_json(out / "manifest.json")["round"] == 2
    (out / "data" / "notes.md").write_text("mine")
    with pytest.raises(InputError, match=r"found data/notes.md, which no export wrote"):
        _export(exported_run, out)
    assert (out / "data" / "notes.md").read_text() == "mine"


@pytest.mark.parametrize("what", ["a folder", "a file", "its manifest", "no manifest"])
def test_anything_else_is_left_alone(exported_run: Layout, tmp_path: Path, what: str) -> None:
    out = tmp_path / "out"
    if what == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    if what == "its manifest":
        shutil.copy(exported_run.manifest("report"), out / "manifest.json")
    if what == "no manifest":
        (out / "manifest.json").write_text("[")
    with pytest.raises(InputError, match="found something else than an earlier export"):
        _export(exported_run, out)
    assert (out if what == "a file" else out / "mine.txt").read_text() == "mine"
