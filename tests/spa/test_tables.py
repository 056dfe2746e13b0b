"""Parquet: equal bytes for equal rows, clear errors."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spa.errors import ArtefactError
from spa.records import Message, Prompt, prompt_hash
from spa.tables import read_table, write_table


def _prompts() -> list[Prompt]:
    turns: list[list[Message]] = [[{"role": "user", "content": c}] for c in ("a", "é", "👉")]
    return [Prompt(prompt_id=prompt_hash(turn), prompt=turn) for turn in turns]


def test_what_is_written_is_read_and_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert write_table(tmp_path / name, _prompts(), Prompt) == 3
    assert read_table(tmp_path / "one", Prompt) == _prompts()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    write_table(tmp_path / "none", [], Prompt)
    assert read_table(tmp_path / "none", Prompt) == []


def test_missing_damaged_and_foreign_tables_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"not found; wanted a Parquet file of Prompt rows"):
        read_table(tmp_path / "none.parquet", Prompt)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 oops")
    with pytest.raises(ArtefactError, match="cannot be read as Parquet"):
        read_table(tmp_path / "broken.parquet", Prompt)
    pq.write_table(pa.table({"prompt_id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(ArtefactError, match="has no column 'prompt'"):
        read_table(tmp_path / "other.parquet", Prompt)
