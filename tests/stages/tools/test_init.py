"""Tools `init` and `lock` as commands: what they say, and what they refuse."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stages._app import run
from tests.spa.test_scaffold import write_csv

Spa = Callable[..., tuple[int, str, str]]


@pytest.fixture
def spa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Spa:
    """Run `spa` in an empty folder: exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            run(list(arguments))
        return int(stop.value.code or 0), *capsys.readouterr()

    return call


def _next(out: str) -> list[str]:
    return [line.strip() for line in out.split("Next:\n")[1].splitlines()]


def test_it_says_what_it_chose_and_the_next_three_commands(spa: Spa, tmp_path: Path) -> None:
    write_csv(tmp_path / "mine.csv", 300)
    code, out, error = spa("init", "new", "--pairs", "mine.csv")
    assert (code, error) == (0, "")
    assert "300 rows, 300 pairs" in out
    assert "split.seed_pairs 60" in out
    assert _next(out) == ["cd new", "spa doctor", "dvc repro"]


def test_an_open_commit_comes_first(spa: Spa) -> None:
    out = spa("init", "new", "--preset", "zephyr-7b")[1]
    assert _next(out) == ["cd new", "spa preset --resolve", "spa doctor"]


def test_in_this_folder_there_is_no_need_to_change_it(spa: Spa) -> None:
    assert _next(spa("init", ".")[1]) == ["spa doctor", "spa plan", "dvc repro"]


def test_what_it_says_can_be_typed_and_ignored_pairs_are_named(spa: Spa, tmp_path: Path) -> None:
    write_csv(tmp_path / "mine.csv", 60)
    subprocess.run(["git", "init", "-q", "."], check=True)
    (tmp_path / ".gitignore").write_text("*.csv\n")
    out = spa("init", "a new one", "--pairs", "mine.csv")[1]
    assert _next(out)[0] == "cd 'a new one'"
    assert "init: git ignores data/raw/mine.csv: clones will lack it\n" in out


def test_a_second_time_is_refused_in_one_line(spa: Spa) -> None:
    spa("init", ".")
    code, out, error = spa("init", ".")
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert "found data/code, data/raw/README.md, " in error
    assert "nothing was written" in error


def test_lock_says_what_changed_and_mends_the_dag_only_when_asked(spa: Spa, tmp_path: Path) -> None:
    spa("init", ".")
    dag = tmp_path / "dvc.yaml"
    written = dag.read_text()
    assert spa("lock")[1] == "lock: nothing changed in data/code\n"
    (tmp_path / "data" / "code" / "train.sha256").write_text("older")
    dag.write_text(written + "# edited\n")
    out = spa("lock")[1].splitlines()
    assert out[0] == "lock: train changed in data/code"
    assert "--dag" in out[1]
    assert dag.read_text() != written
    spa("lock", "--dag")
    assert dag.read_text() == written


def test_lock_is_refused_where_dvc_yaml_names_the_code(spa: Spa, tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("{}")
    code, _, error = spa("lock")
    assert code == 1
    assert "nothing to lock" in error
