"""Tool `winrate`: the published leaderboard, from its annotations."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from stages._app import run


def _winrate(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as stop:
        run(["winrate", *arguments, "--json"])
    assert not stop.value.code
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.shared
def test_it_says_what_the_leaderboard_says(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Raw rates to two decimals; length-controlled ones within 2.5 points, marked approximate."""
    folder = shared / "alpaca_eval"
    data = str(folder / "df_gamed.approximate.csv")
    with (folder / "leaderboard.csv").open() as file:
        board = list(csv.DictReader(file))
    assert len(board) == 6
    for row in board:
        annotations = str(folder / "annotations" / f"{row['model']}.json.gz")
        found = _winrate(capsys, annotations, "--regression-data", data)
        assert found["n"] == int(row["n"])
        assert found["win_rate"] == pytest.approx(float(row["win_rate"]), abs=0.005)
        assert found["standard_error"] == pytest.approx(float(row["standard_error"]), abs=0.005)
        published = float(row["length_controlled_winrate"])
        assert found["lc_win_rate"] == pytest.approx(published, abs=2.5)
        assert found["lc_approximate"]
        assert found["lc_reason"] is None


@pytest.mark.shared
def test_without_regression_data_it_says_so(
    shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spa.regression_data.fetch_regression_data", lambda: None)
    annotations = shared / "alpaca_eval" / "annotations" / "alpaca-7b.json.gz"
    found = _winrate(capsys, str(annotations))
    assert found["lc_win_rate"] is None
    assert not found["lc_approximate"]
    assert "--regression-data" in found["lc_reason"]


def test_one_annotation_is_valid_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"instruction": "Why?", "output_1": "So.", "output_2": "As it is.", "preference": 2.0}
    file = tmp_path / "a.json"
    file.write_text(json.dumps([{**row, "generator_1": "base", "generator_2": "mine"}]))
    assert _winrate(capsys, str(file))["standard_error"] is None
    with pytest.raises(SystemExit):
        run(["winrate", str(file)])
    assert "win rate 100.00 % (standard error unknown, n = 1)" in capsys.readouterr().out


def test_rows_that_do_not_count_are_told_and_a_folder_is_not_pooled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"instruction": "Why?", "output_1": "So.", "output_2": "As it is."}
    rows = [
        {**row, "generator_1": "base", "generator_2": "mine", "preference": p} for p in (2, None)
    ]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    with pytest.raises(SystemExit):
        run(["winrate", str(tmp_path / "a.json")])
    assert "; 1 of 2 rows have no preference and do not count\n" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        run(["winrate", str(tmp_path)])
    assert stop.value.code == 1
    assert "is a folder; wanted one model's annotations" in capsys.readouterr().err
