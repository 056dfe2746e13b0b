"""Manifests and the DAG that they are made from; schema versions that say how to migrate."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from recorded_pipeline import write_recorded

from spa.dag import Tree, downstream, read_stages
from spa.errors import ArtefactError, ParamsError
from spa.files import hash_file
from spa.layout import Layout
from spa.manifest import (
    check_policies,
    model_of,
    params_of,
    policy_hash,
    read_manifest,
    root_hash,
    write_manifest,
)
from spa.models import model_hash
from spa.param_files import load_params
from spa.records import JudgedPair, Prompt
from spa.tables import read_table, write_table

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return write_recorded(tmp_path_factory.mktemp("manifest") / "run", prompts=6)


def test_stages_are_resolved_as_dvc_does() -> None:
    stages = read_stages(Layout(ROOT))
    train = stages["train@2"]
    assert train.cmd == "spa train --round 2"
    assert "data/round-1/policy" in train.deps
    assert "data/manifests/train@2.json" in train.outs
    assert "rounds.2.train" in train.params
    assert (train.kind, train.round, stages["seed"].round) == ("train", "2", "0")
    assert "spa/annotation/rubric.py" in stages["judge@1"].deps
    assert "data/report/summary.json" in stages["report"].outs


def test_what_follows_from_a_change() -> None:
    stages = read_stages(Layout(ROOT))
    assert downstream(stages, ["data/pools/gold.parquet"])[0] == "baseline"
    assert downstream(stages, ["data/round-2/policy/model.safetensors"]) == ["evaluate@2", "report"]
    assert downstream(stages, ["nothing"]) == []


def test_a_manifest_names_files_rows_models_and_params(run: Layout) -> None:
    made = read_manifest(run, "train@2")
    assert (made["stage"], made["round"], made["schema_version"]) == ("train", "2", 1)
    kept = "data/round-2/kept.parquet"
    assert made["inputs"][kept] == hash_file(run.root / kept)
    log = run.training_log(2)
    assert made["rows"] == {run.show(log): pq.read_table(log).num_rows}
    assert made["models"] == {
        "data/round-1/policy": model_hash(run.policy(1)),
        "data/round-2/policy": model_hash(run.policy(2)),
    }
    assert made["params"]["train"]["lambda"] == 0.5
    assert made["params"]["train"]["alpha"] == 0.1
    assert set(made["params"]) == {"seed", "train"}


def test_round_0_is_told_with_its_own_epochs_and_no_doubt() -> None:
    params = load_params(ROOT / "params.yaml")
    own = params_of(read_stages(Layout(ROOT))["seed"], params)
    assert own["train"]["epochs"] == params.train.seed_epochs
    assert own["train"]["alpha"] == 0.0


def test_a_judges_beta_is_the_one_of_all_rounds_and_a_trainings_its_own() -> None:
    params = load_params(ROOT / "params.yaml")
    second = params.rounds["2"].model_copy(update={"train": {"beta": 0.3}})
    params = params.model_copy(update={"rounds": params.rounds | {"2": second}})
    own = {
        name: params_of(read_stages(Layout(ROOT))[name], params) for name in ("judge@2", "train@2")
    }
    assert own["judge@2"]["train"] == {"beta": 0.1}
    assert own["train@2"]["train"]["beta"] == 0.3


def test_running_again_gives_the_same_bytes_and_root(run: Layout) -> None:
    before, root = run.manifest("judge@1").read_bytes(), root_hash(run)
    write_manifest(run, "judge@1")
    assert run.manifest("judge@1").read_bytes() == before
    assert root_hash(run) == root


def test_a_stage_that_dvc_yaml_does_not_have_is_said(
    run: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(run, "judge@9")
    assert "dvc.yaml has no stage judge@9" in capsys.readouterr().err
    assert not run.manifest("judge@9").exists()


def test_a_models_hash_is_the_one_that_answers_carry(tiny_folder: Path, tmp_path: Path) -> None:
    assert policy_hash(tiny_folder) == model_hash(tiny_folder)
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_text(name)
    assert policy_hash(tmp_path) == model_hash(tmp_path)
    assert model_of({}, "nothing") == ""


def test_files_are_the_ones_that_dvc_sees(tmp_path: Path) -> None:
    (tmp_path / ".dvcignore").write_text("__pycache__/\n*.pyc\n")
    (tmp_path / "a" / "__pycache__").mkdir(parents=True)
    for name in ("a/x", "a/y.pyc", "a/__pycache__/z"):
        (tmp_path / name).write_text("")
    assert list(Tree(tmp_path).files("a")) == ["a/x"]
    assert list(Tree(tmp_path).files("a/x")) == ["a/x"]
    assert list(Tree(tmp_path).files("b")) == []


@pytest.mark.parametrize(
    ("version", "says"),
    [("0", "of an older spa; wanted 1; run `dvc repro`"), ("2", "of a newer spa; wanted 1")],
)
def test_a_table_of_another_version_says_how_to_migrate(
    tmp_path: Path, version: str, says: str
) -> None:
    file = tmp_path / "pool.parquet"
    write_table(file, [Prompt(prompt_id="a", prompt=[])], Prompt)
    table = pq.read_table(file)
    assert table.schema.metadata[b"spa.schema_version"] == b"1"
    pq.write_table(table.replace_schema_metadata({"spa.schema_version": version}), file)
    with pytest.raises(ArtefactError, match=says):
        read_table(file, Prompt)
    pq.write_table(table.replace_schema_metadata(None), file)  # as files before versions are
    assert read_table(file, Prompt)[0].prompt_id == "a"


def test_params_of_another_version_say_how_to_migrate(tmp_path: Path) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    file = tmp_path / "params.yaml"
    for version, says in ((0, "CHANGELOG.md says which keys changed"), (2, "of a newer spa")):
        file.write_text(yaml.safe_dump({"schema_version": version, "new_key": 1, **raw}))
        with pytest.raises(
            ParamsError, match=f"schema_version: found {version}, wanted 1; .*{says}"
        ):
            load_params(file)
    file.write_text(yaml.safe_dump({"schema_version": 1, **raw}))
    assert load_params(file).schema_version == 1


def test_rows_of_a_run_carry_the_version(run: Layout) -> None:
    assert pq.read_schema(run.kept(1)).metadata[b"spa.schema_version"] == b"1"
    assert read_table(run.kept(1), JudgedPair)


def test_a_stages_policies_are_those_that_were_written_where_a_manifest_tells(
    run: Layout, tmp_path: Path
) -> None:
    layout = Layout(Path(shutil.copytree(run.root, tmp_path / "run")))
    check_policies(layout, "generate@2")
    weights = next(layout.policy(1).glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes() + b"0")
    check_policies(layout, "generate@1")  # reads another
    with pytest.raises(ArtefactError, match=r"round-1/policy/.*: found .* what train@1 wrote"):
        check_policies(layout, "generate@2")
    weights.unlink()
    with pytest.raises(ArtefactError, match=r"round-1/policy/.*: found nothing; wanted what"):
        check_policies(layout, "generate@2")
    layout.manifest("train@1").unlink()
    check_policies(layout, "generate@2")
