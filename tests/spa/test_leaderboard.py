"""alpaca-eval's own figures: the library is quiet, and its data is looked at before it is used."""

import logging
from pathlib import Path

import pandas as pd
import pytest

from spa.errors import InputError
from spa.leaderboard import raw_figures, read_regression_data

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
    frame[columns].to_csv(file, index=False)
    return file


def test_the_library_leaves_the_root_logger_alone() -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    raw_figures([{"preference": 1.0}])
    assert (root.level, root.handlers) == before


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
