"""What users and models wrote is shown on a terminal, and never obeyed."""

from pathlib import Path

import pytest

from spa.errors import InputError
from stages import _app
from stages._terminal import lines, plain

RED = "\x1b[31m"


def test_what_a_terminal_would_act_on_is_shown() -> None:
    assert plain(f"a{RED}b\nc\r") == "a\\x1b[31mb\\nc\\r"
    assert lines(f"a{RED}\nb\r") == "a\\x1b[31m\nb\\r"
    assert plain("é 猫") == "é 猫"


def test_an_error_that_quotes_data_moves_no_cursor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        """Fail."""
        raise InputError(f"pairs.csv, row 1: found the field '{RED}'")

    monkeypatch.setattr("stages.split.main", fail)
    with pytest.raises(SystemExit) as stop:
        _app.run(["split"])
    assert stop.value.code == 1
    assert capsys.readouterr().err == "error: pairs.csv, row 1: found the field '\\x1b[31m'\n"


def test_a_file_that_the_machine_refuses_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        _app.run(["validate", "a" * 300 + ".jsonl"])
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.endswith("File name too long\n")
    assert said.count("\n") == 1
