"""Tool `preset` as a command: where it writes, what it says, and its exit codes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from spa.presets import preset, presets
from stages._app import run

Preset = Callable[..., tuple[int, str, str]]


@pytest.fixture
def spa(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Preset:
    """Run `spa preset` in an empty folder: exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            run(["preset", *arguments])
        return int(stop.value.code or 0), *capsys.readouterr()

    return call


def test_it_writes_into_this_folder_and_says_which_commits_are_open(
    spa: Preset, tmp_path: Path
) -> None:
    code, out, error = spa("zephyr-7b")
    assert (code, error) == (0, "")
    assert (tmp_path / "params.yaml").read_text() == preset("zephyr-7b").text
    first, second, *rest = out.splitlines()
    assert first == "preset: wrote params.yaml, rubric.py"
    assert "no pipeline is here; `spa init DIR --preset zephyr-7b` creates one" in second
    assert [line.split()[1] for line in rest] == ["base.source", "split.source"]
    assert all(line.endswith("`spa preset --resolve`") for line in rest)
    assert spa("zephyr-7b")[1].startswith("preset: params.yaml is already zephyr-7b")


def test_it_writes_into_the_pipeline_around(
    spa: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.yaml").write_text("{}")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert spa("starter")[:2] == (0, "preset: wrote params.yaml\n")
    assert (tmp_path / "params.yaml").exists()


def test_another_params_file_is_one_line_and_exit_code_1(spa: Preset, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: 3\n")
    code, out, error = spa("starter")
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert "use --force" in error
    assert spa("starter", "--force")[0] == 0
    assert (tmp_path / "params.yaml").read_text() == preset("starter").text


def test_a_params_file_that_is_no_text_gives_way_to_force_alone(
    spa: Preset, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe seed: 1")
    code, _, error = spa("zephyr-7b")
    assert (code, error.count("\n")) == (1, 1)
    assert spa("zephyr-7b", "--force")[0] == 0


def test_an_unedited_preset_gives_way_to_another(spa: Preset, tmp_path: Path) -> None:
    for one in presets():
        assert spa(one.name)[0] == 0
        assert (tmp_path / "params.yaml").read_text() == one.text
    with (tmp_path / "params.yaml").open("a") as file:
        file.write("# mine\n")
    assert spa("starter")[0] == 1


def test_without_a_name_all_are_listed_and_nothing_is_written(spa: Preset, tmp_path: Path) -> None:
    code, out, _ = spa()
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [one.name for one in presets()]
    assert spa("--list")[1] == out
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_exit_code_1_with_all_names(spa: Preset) -> None:
    code, _, error = spa("mistral")
    assert (code, error.count("\n")) == (1, 1)
    assert all(one.name in error for one in presets())


def test_where_no_commit_is_open_nobody_is_asked(spa: Preset, tmp_path: Path) -> None:
    spa("starter")
    assert spa("--resolve")[1] == "preset: no commit is missing in params.yaml\n"
    assert (tmp_path / "params.yaml").read_text() == preset("starter").text
