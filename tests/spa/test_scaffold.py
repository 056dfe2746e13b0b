"""A pipeline laid out elsewhere: the same DAG, nothing overwritten, numbers that fit the data."""

import csv
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from spa.compute import Compute
from spa.doctor import examine
from spa.errors import InputError, ParamsError
from spa.layout import Layout
from spa.param_files import check_params, load_params
from spa.planning import plan_pipeline
from spa.presets import presets
from spa.scaffold import lay_out, user_dag
from spa.scaffold.own import sizes, with_values
from tests.pipeline.tiny_params import ROOT, WORDS

OURS = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
CODE = ("spa/", "stages/")


def write_csv(file: Path, rows: int) -> Path:
    """Preference pairs as a user has them."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("prompt", "chosen", "rejected"))
        for number in range(rows):
            topic, other = WORDS[number % 12], WORDS[(number * 5 + 1) % 12]
            answer = f"Because {other} helps {topic} to become light and full of taste."
            prompt = f"Why does {topic} number {number} need {other}?"
            writer.writerow((prompt, answer, f"The {topic}, {number} times."))
    return file


def _files(folder: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    return {name: file.read_bytes() for name, file in found.items() if ".git/" not in name}


def _body(stage: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = stage.get("do", stage)
    return body


def test_a_users_dag_is_ours_but_for_the_code(tmp_path: Path) -> None:
    theirs = yaml.safe_load(user_dag(Layout(tmp_path)))
    assert list(theirs["stages"]) == list(OURS["stages"])
    assert theirs["plots"] == OURS["plots"]
    for name, stage in OURS["stages"].items():
        ours, own = _body(stage), _body(theirs["stages"][name])
        assert theirs["stages"][name].get("foreach") == stage.get("foreach")
        for key in ("cmd", "desc", "params", "outs", "metrics"):
            assert own.get(key) == ours.get(key)
        data = [dep for dep in ours["deps"] if not dep.startswith(CODE)]
        assert own["deps"] == sorted([*data, f"data/code/{name}.sha256"])


def test_an_empty_folder_becomes_a_pipeline_that_dvc_reads(tmp_path: Path) -> None:
    made = lay_out(tmp_path / "mine")
    assert made.repository
    assert made.kept == []
    layout = made.layout
    plan = plan_pipeline(layout, load_params(layout.params), Compute(device="cpu"), probe=False)
    assert not any("DVC cannot say" in note for note in plan.notes)
    faults = [found.text for found in examine(layout) if found.state == "fault"]
    assert len(faults) == 1
    assert "data/raw/pairs.jsonl: not found" in faults[0]


def test_git_sees_what_is_written_and_not_what_stages_write(tmp_path: Path) -> None:
    made = lay_out(tmp_path)
    assert set(made.written) == _files(tmp_path).keys()

    def ignored(names: list[str]) -> list[str]:
        asked = ["git", "-C", str(tmp_path), "check-ignore", *names]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        return done.stdout.splitlines()

    assert ignored(made.written) == []
    cached: list[str] = []
    plain: list[str] = []
    for stage in OURS["stages"].values():
        body = _body(stage)
        for out in [*body["outs"], *body.get("metrics", [])]:
            name = out if isinstance(out, str) else next(iter(out))
            (cached if isinstance(out, str) else plain).append(name.replace("${key}", "1"))
    for name in cached:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch() if Path(name).suffix else (tmp_path / name).mkdir(parents=True)
    assert ignored(cached) == cached
    assert ignored(plain) == []


def test_pairs_and_model_are_taken_up(tmp_path: Path, tiny_folder: Path) -> None:
    pairs = write_csv(tmp_path / "mine.csv", 60)
    made = lay_out(tmp_path / "there", pairs=pairs, model=str(tiny_folder))
    params = load_params(made.layout.params)
    assert params.split.source == "data/raw/mine.csv"
    assert (made.layout.raw / "mine.csv").read_bytes() == pairs.read_bytes()
    assert made.layout.root / params.base.source == tiny_folder
    faults = [found.text for found in examine(made.layout) if found.state == "fault"]
    assert faults == []  # enough of everything, for every stage


def test_pairs_that_lie_in_data_raw_already_stay_there(tmp_path: Path) -> None:
    (tmp_path / "data" / "raw").mkdir(parents=True)
    pairs = write_csv(tmp_path / "data" / "raw" / "mine.csv", 60)
    made = lay_out(tmp_path, pairs=pairs)
    assert load_params(made.layout.params).split.source == "data/raw/mine.csv"
    assert "data/raw/mine.csv" not in made.written


def test_a_hub_models_commit_may_be_open(tmp_path: Path) -> None:
    assert [pin.key for pin in lay_out(tmp_path, model="org/name@").open] == ["base.source"]


def test_nothing_is_written_where_a_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("mine")
    (tmp_path / "rubric.py").write_text("mine")
    before = _files(tmp_path)
    with pytest.raises(ParamsError, match=r"found dvc\.yaml, rubric\.py; .*nothing was written"):
        lay_out(tmp_path)
    assert _files(tmp_path) == before
    assert not (tmp_path / ".git").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"pairs": Path("none.csv")}, "none.csv: not found"),
        ({"model": "nowhere"}, "--model: found 'nowhere'"),
        ({"model": "org/name@main"}, "--model: found 'org/name@main'"),
        ({"name": "nothing"}, "preset: found 'nothing'"),
    ],
)
def test_wrong_options_write_nothing(tmp_path: Path, options: Any, named: str) -> None:
    with pytest.raises((ParamsError, InputError), match=named):
        lay_out(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_bad_row_writes_nothing(tmp_path: Path) -> None:
    pairs = write_csv(tmp_path / "mine.csv", 30)
    pairs.write_text(pairs.read_text() + "only a prompt\n")
    with pytest.raises(InputError, match="row 32"):
        lay_out(tmp_path / "new", pairs=pairs)
    assert not (tmp_path / "new").exists()


def test_a_users_own_git_and_dvc_settings_stay(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    folder = tmp_path / "part"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (folder / ".gitignore").write_text("/secret/\n/data/base/")
    made = lay_out(folder)
    assert not made.repository
    assert made.kept == [".dvc/config"]
    lines = (folder / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["/secret/", "/data/base/"]
    assert lines.count("/data/base/") == 1
    assert "/data/pools/" in lines
    layout = made.layout
    plan = plan_pipeline(layout, load_params(layout.params), Compute(device="cpu"), probe=False)
    assert not any("DVC cannot say" in note for note in plan.notes)


@pytest.mark.parametrize("name", [".gitignore", ".dvcignore"])
def test_settings_that_are_not_utf8_are_one_line_and_nothing_is_written(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"caf\xe9\n")
    with pytest.raises(ParamsError, match=f"{name}: is not UTF-8 .*nothing was written"):
        lay_out(tmp_path)
    assert _files(tmp_path) == {name: b"caf\xe9\n"}


def _repository(folder: Path, ignored: str) -> Path:
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / ".gitignore").write_text(ignored)
    return folder


def test_what_git_would_ignore_is_refused_and_nothing_written(tmp_path: Path) -> None:
    """DVC finds no pipeline in a dvc.yaml that git ignores, and a clone has no lists of code."""
    mine = _repository(tmp_path / "mine", "data/\n*.yaml\n!dvc.yaml\n")
    before = _files(mine)
    named = r"git ignores data/code, data/raw/README.md, .*, params.yaml; .*nothing was written"
    for folder in (mine, mine / "below"):
        with pytest.raises(ParamsError, match=named):
            lay_out(folder)
    assert _files(mine) == before


def test_pairs_that_git_ignores_are_told(tmp_path: Path) -> None:
    pairs = write_csv(tmp_path / "my pairs.csv", 60)
    made = lay_out(_repository(tmp_path / "mine", "*.csv\n"), pairs=pairs)
    assert made.ignored == ["data/raw/my pairs.csv"]


def test_prompts_are_shared_out_whole() -> None:
    assert sizes(300) == {
        "split.seed_pairs": 60,
        "split.gold": 50,
        "split.test": 60,
        "split.development": 15,
        "rounds.1.prompts": 57,
        "rounds.2.prompts": 57,
        "train.batch_size": 8,
        "filter.min_kept": 16,
    }
    for prompts in range(20, 5000, 7):
        found = sizes(prompts)
        parts = [value for key, value in found.items() if key.startswith(("split", "rounds"))]
        assert prompts - 2 < sum(parts) <= prompts
        assert found["split.seed_pairs"] >= found["train.batch_size"]
        assert found["rounds.1.prompts"] >= found["filter.min_kept"]
    with pytest.raises(InputError, match="found pairs for 19 prompts"):
        sizes(19)


@pytest.mark.parametrize("name", [one.name for one in presets()])
def test_values_are_set_in_every_preset_without_touching_others(name: str) -> None:
    text = next(one.text for one in presets() if one.name == name)
    values: dict[str, str | int] = {
        "split.source": "data/raw/a b's: #1.csv", "rounds.1.prompts": 99, "train.beta": 3
    }  # fmt: skip
    raw, found = yaml.safe_load(text), yaml.safe_load(with_values(text, values))
    raw["split"]["source"], raw["rounds"]["1"]["prompts"], raw["train"]["beta"] = values.values()
    assert found == raw
    assert check_params(found)[1] == []
    with pytest.raises(ValueError, match=r"split\.sauce: found 0 lines"):
        with_values(text, {"split.sauce": 1})


def test_the_templates_of_dvc_are_the_repositorys() -> None:
    files = ROOT / "spa" / "scaffold" / "files"
    for name, copy in (
        (".dvc/config", "dvc_config"),
        (".dvc/.gitignore", "dvc_gitignore"),
        (".dvcignore", "dvcignore"),
        ("data/raw/annotations/README.md", "annotations.md"),
    ):
        assert (files / copy).read_text() == (ROOT / name).read_text(), name


def test_the_rubric_to_begin_with_can_be_asked(tmp_path: Path) -> None:
    from spa.annotation.rubric_annotator import load_rubric

    layout = lay_out(tmp_path).layout
    assert load_rubric(load_params(layout.params).rubric, layout.root)
