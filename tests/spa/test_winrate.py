"""Win rates of annotations: AlpacaEval's definitions, and what is refused and why."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from spa import winrate
from spa.errors import InputError
from spa.importing.annotations import read_annotations
from spa.regression_data import RegressionData
from spa.winrate import lc_refusal, win_rate


def _rows(*preferences: float | None, **fields: Any) -> list[dict[str, Any]]:
    row = {
        "instruction": "Why?",
        "output_1": "So.",
        "output_2": "Because.",
        "generator_1": "gpt4_1106_preview",
        "generator_2": "mine",
        "annotator": "weighted_alpaca_eval_gpt4_turbo",
        **fields,
    }
    return [{**row, "preference": value} for value in preferences]


def test_rates_by_hand() -> None:
    """Wins of 0.75, 0.5 (both spellings of a tie) and 0; a failed call is no score."""
    found = win_rate(_rows(1.75, 1.5, 0.0, 1.0, None), None)
    assert found.n == 4
    assert found.win_rate == pytest.approx(100 * (0.75 + 0.5 + 0.5 + 0) / 4)
    assert found.discrete_win_rate == pytest.approx(100 * (1 + 0.5 + 0.5 + 0) / 4)
    spread = [0.75, 0.5, 0.5, 0.0]
    mean = sum(spread) / 4
    deviation = (sum((x - mean) ** 2 for x in spread) / 3) ** 0.5
    assert found.standard_error == pytest.approx(100 * deviation / 2)


def test_one_annotation_has_no_standard_error() -> None:
    found = win_rate(_rows(1.75, None), None)
    assert (found.n, found.win_rate, found.standard_error) == (1, 75.0, None)


def test_length_control_is_refused_on_other_instructions() -> None:
    found = win_rate(_rows(1.2, 2.0), None)
    assert found.lc_win_rate is None
    assert not found.lc_approximate
    assert "not AlpacaEval's 805" in str(found.lc_reason)


def test_annotations_without_any_preference_are_an_error() -> None:
    with pytest.raises(InputError, match="no preference in 2 rows"):
        win_rate(_rows(None, None), None)


@pytest.mark.parametrize("value", [2.5, 0.5, "2", True, -1])
def test_a_preference_that_is_none_is_named(tmp_path: Path, value: object) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps([*_rows(1.0), {**_rows(1.0)[0], "preference": value}]))
    with pytest.raises(InputError, match=r"a.json, row 2, field 'preference'"):
        read_annotations("a.json", tmp_path)


def test_a_preference_of_no_number_is_a_failed_call(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(_rows(1.0, None, float("nan"))))
    found = [row["preference"] for row in read_annotations("a.json", tmp_path)]
    assert found == [1.0, None, None]


def test_a_row_without_the_field_is_no_failed_call(tmp_path: Path) -> None:
    rows = _rows(1.0, 2.0)
    del rows[1]["preference"]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match=r"a.json, row 2, field 'preference': missing"):
        read_annotations("a.json", tmp_path)


def test_a_missing_text_is_named(tmp_path: Path) -> None:
    rows = _rows(1.0, 2.0)
    del rows[1]["output_2"]
    with gzip.open(tmp_path / "a.json.gz", "wt") as file:
        json.dump(rows, file)
    with pytest.raises(InputError, match=r"a.json.gz, row 2, field 'output_2': missing"):
        read_annotations("a.json.gz", tmp_path)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(InputError, match="found no rows"):
        read_annotations("a.json", tmp_path)


@pytest.mark.shared
def test_length_control_knows_its_instructions_baseline_and_order(shared: Path) -> None:
    folder = shared / "alpaca_eval" / "annotations"
    rows = read_annotations("alpaca-7b.json.gz", folder)
    assert lc_refusal(rows) is None
    assert "not AlpacaEval's" in str(lc_refusal(rows[::-1]))
    assert "not AlpacaEval's" in str(lc_refusal(rows[:-1]))
    assert "several models" in str(lc_refusal([{**rows[0], "generator_2": "x"}, *rows[1:]]))
    assert "baseline" in str(lc_refusal([{**row, "generator_1": "base"} for row in rows]))


@pytest.mark.parametrize(
    ("annotator", "original", "approximate"),
    [
        ("weighted_alpaca_eval_gpt4_turbo", True, False),
        ("weighted_alpaca_eval_gpt4_turbo", False, True),
        ("rubric", True, True),
    ],
)
def test_length_control_is_exact_by_its_own_annotator_and_data_alone(
    monkeypatch: pytest.MonkeyPatch, annotator: str, original: bool, approximate: bool
) -> None:
    monkeypatch.setattr(winrate, "lc_refusal", lambda rows: None)
    monkeypatch.setattr(winrate, "length_controlled", lambda rows, file: 12.5)
    data = RegressionData(Path("df_gamed.csv"), original)
    found = win_rate(_rows(1.75, 1.0, annotator=annotator), data)
    assert (found.lc_win_rate, found.lc_approximate) == (12.5, approximate)
