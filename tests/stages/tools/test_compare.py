"""Tool `compare`: rounds of this run and of another revision."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from spa.files import write_json
from stages._app import run

ROOT = Path(__file__).parents[3]


def _evaluate(root: Path, round: str, wins: list[float]) -> None:
    row = {"annotator": "rubric", "dataset": "test", "generator_1": "base", "output_1": "b"}
    rows = [{**row, "prompt_id": str(i), "preference": 1 + win} for i, win in enumerate(wins)]
    write_json(root / "data" / "evaluation" / round / "annotations.json", rows)


def _shell(root: Path, command: str) -> None:
    subprocess.run(command, shell=True, cwd=root, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its first commit holds rounds 0 and 1; then its files change. Nothing here changes it."""
    root = tmp_path_factory.mktemp("repository")
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (root / "dvc.yaml").write_text("{}\n")
    _evaluate(root, "0", [0.0, 0.0, 0.0, 1.0])
    _evaluate(root, "1", [1.0, 0.0, 0.0, 1.0])
    _shell(root, "git init -q && dvc init -q && dvc add -q data/evaluation && git add -A")
    _shell(root, "git -c user.name=a -c user.email=a@b commit -qm first && git tag before")
    _evaluate(root, "1", [1.0, 1.0, 1.0, 1.0])
    return root


@pytest.fixture
def pipeline(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(repository)
    return repository


def _compare(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        run(["compare", *arguments])
    return int(stop.value.code or 0), *capsys.readouterr()


def test_rounds_of_this_run_and_of_another_revision(
    pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = _compare(capsys, "0", "1", "--json")
    now: dict[str, Any] = json.loads(out)
    assert (code, now["first"], now["second"], now["difference"]) == (0, 0.25, 1.0, 0.75)
    _, out, _ = _compare(capsys, "before:1", "1", "--json")
    then: dict[str, Any] = json.loads(out)
    assert (then["a"], then["first"], then["difference"]) == ("before:1", 0.5, 0.5)
    _, out, _ = _compare(capsys, "0", "0")
    assert "no clear difference" in out


def test_prompts_of_one_alone_are_told(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _evaluate(pipeline, "3", [1.0, 0.0, 1.0, 1.0, 1.0])
    _, out, _ = _compare(capsys, "0", "3")
    assert "on 4 test prompts\n" in out
    assert out.endswith("1 more have a preference for only one of the two and do not count\n")
    shutil.rmtree(pipeline / "data" / "evaluation" / "3")


@pytest.mark.parametrize("name", ["7", "nowhere:1", "before:7"])
def test_what_is_not_there_is_one_clear_line(
    pipeline: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    code, out, error = _compare(capsys, "0", name)
    assert (code, out) == (1, "")
    assert error.startswith("error: ")
    assert error.count("\n") == 1
