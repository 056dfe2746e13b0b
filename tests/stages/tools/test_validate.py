"""Tool `validate` as a command: one JSON object or a text for people, and the exit code."""

import json
from pathlib import Path

import pytest

from stages._app import run

GOOD = {"prompt": "Why does bread rise?", "chosen": "Yeast makes gas.", "rejected": "No idea, sir."}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "pairs.jsonl"


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        run(["validate", *arguments])
    return int(stop.value.code or 0), *capsys.readouterr()


def test_json_is_one_object_with_the_promised_keys(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(json.dumps(GOOD) + "\n" + json.dumps({**GOOD, "chosen": ""}) + "\n")
    code, out, error = _run(capsys, "pairs.jsonl", "--json")
    found = json.loads(out)
    assert (code, error, out.count("\n")) == (0, "", 1)
    assert found["format"] == "TRL preference, explicit prompt, plain text"
    assert (found["rows"], found["usable_pairs"]) == (2, 1)
    faults = [(f["row"], f["field"], f["what"], f["action"]) for f in found["faults"]]
    assert (2, "chosen", "the answer is empty", "drop") in faults


def test_an_error_in_a_row_is_exit_code_1_and_still_a_report(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "".join(json.dumps({"prompt": f"{n}?", "chosen": "a\0"}) + "\n" for n in range(8))
    file.write_text(json.dumps(GOOD) + "\n" + bad)
    code, out, error = _run(capsys, "pairs.jsonl")
    assert (code, error) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "pairs.jsonl: TRL preference, explicit prompt, plain text (JSON Lines)"
    assert [line.split() for line in lines[1:3]] == [["rows", "9"], ["usable", "pairs", "1"]]
    assert "error        8  chosen: wanted text" in out
    assert "in row 2, row 3, row 4, row 5, row 6 and 3 more" in out
    assert "row 2: missing (found prompt, chosen); wanted an answer, as text or messages, in" in out
    assert "`spa split` stops at the first" in out
    assert "\0" not in out


def test_clean_pairs_are_said_to_be_clean(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(json.dumps(GOOD))
    code, out, _ = _run(capsys, "pairs.jsonl")
    assert code == 0
    assert out.endswith("No faults found.\n")


def test_a_file_that_is_not_there_is_one_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, error = _run(capsys, "nowhere.jsonl", "--json")
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert error.startswith("error: nowhere.jsonl: not found")


def test_no_usable_pair_is_exit_code_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(json.dumps({**GOOD, "rejected": GOOD["chosen"]}))
    code, out, _ = _run(capsys, "pairs.jsonl", "--json")
    assert code == 1
    assert json.loads(out)["usable_pairs"] == 0


def test_the_advice_on_dropped_pairs_is_what_split_does(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """tests/stages/test_split.py shows that such pairs of seed and gold are not used."""
    file.write_text(json.dumps({**GOOD, "rejected": GOOD["chosen"]}))
    _, out, _ = _run(capsys, "pairs.jsonl")
    said = "in seed and gold it is not trained or evaluated on, unless filter.checks in params.yaml"
    assert said in out


def test_a_file_without_rows_is_a_fault(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("\n\n")
    code, out, _ = _run(capsys, "pairs.jsonl")
    assert code == 1
    assert out.endswith("Found no rows; wanted preference pairs.\n")
