"""The data of AlpacaEval's length control is looked at before it is used."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from spa.errors import InputError
from spa.regression_data import read_regression_data

COLUMNS = [
    "model",
    "index",
    "preference",
    "std_delta_len",
    "instruction_difficulty",
    "not_gamed_baseline",
]


def _data(file: Path, rows: int, columns: list[str] = COLUMNS) -> Path:
    frame = pd.DataFrame({name: range(rows) for name in COLUMNS})
    frame["not_gamed_baseline"] = False
    frame[columns].to_csv(file, index=False)
    return file


def test_regression_data_of_a_file_is_never_called_the_original(tmp_path: Path) -> None:
    assert not read_regression_data(_data(tmp_path / "df.csv", 5), 5).original


def test_regression_data_that_lacks_something_is_named(tmp_path: Path) -> None:
    short = _data(tmp_path / "short.csv", 4)
    with pytest.raises(InputError, match=r"short.csv, field 'index': found 4 of"):
        read_regression_data(short, 5)
    narrow = _data(tmp_path / "narrow.csv", 5, COLUMNS[:3])
    with pytest.raises(InputError, match=r"field 'instruction_difficulty': missing"):
        read_regression_data(narrow, 5)
    with pytest.raises(InputError, match=r"none.csv: cannot be read"):
        read_regression_data(tmp_path / "none.csv", 5)


@pytest.mark.parametrize(
    ("row", "field", "value", "message"),
    [
        (3, "instruction_difficulty", None, "found nan; wanted a number"),
        (2, "preference", None, "found nan; wanted a number"),
        (1, "std_delta_len", "long", "found long; wanted a number"),
        (7, "not_gamed_baseline", 2, "found 2; wanted True or False"),
    ],
)
def test_regression_data_that_lacks_a_value_is_named(
    tmp_path: Path, row: int, field: str, value: Any, message: str
) -> None:
    file = _data(tmp_path / "df.csv", 8)
    frame = pd.read_csv(file).astype(object)
    frame.loc[row - 1, field] = value
    frame.to_csv(file, index=False)
    with pytest.raises(InputError, match=rf"df.csv, row {row}, field '{field}': {message}"):
        read_regression_data(file, 5)


def test_regression_data_in_another_order_is_refused(tmp_path: Path) -> None:
    """alpaca-eval would take the difficulty of row 2 for that of instruction 1."""
    file = _data(tmp_path / "df.csv", 8)
    frame = pd.read_csv(file)
    frame.loc[[0, 2, 1, 3, 4, 7, 6, 5]].to_csv(file, index=False)
    message = r"row 2, field 'index': found 2; wanted 0 to 4 in this order in the first rows"
    with pytest.raises(InputError, match=message):
        read_regression_data(file, 5)
