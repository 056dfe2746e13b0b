"""Files of every kind read alike, however they are packed, and what is broken is named by row."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spa.errors import InputError
from spa.importing.files import file_kinds, read_rows, refuse_links, scan_rows
from spa.importing.row import Row, RowError

ROWS = [
    {"prompt": 'Who said "so"?\nAnd why, please?', "chosen": "Nobody; it is\r\nhearsay.", "n": "1"},
    {"prompt": "Was heißt 猫?", "chosen": "Katze, 🐈.", "n": "2"},
]


def _lines(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _list(rows: list[dict[str, str]]) -> bytes:
    return json.dumps(rows, indent=1).encode()


def _csv(rows: list[dict[str, str]], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: list[dict[str, str]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


KINDS: dict[str, Callable[[list[dict[str, str]]], bytes]] = {
    ".jsonl": _lines,
    ".json": _list,
    ".csv": _csv,
    ".parquet": _parquet,
}


def _rows(folder: Path, name: str, raw: bytes) -> list[Row]:
    (folder / name).write_bytes(raw)
    return list(read_rows(name, folder))


def _scan(folder: Path, name: str, raw: bytes) -> tuple[list[int], list[str]]:
    """Numbers of the rows that can be read, and the faults of the others."""
    (folder / name).write_bytes(raw)
    rows, faults = [], []
    for item in scan_rows(name, folder):
        if isinstance(item, RowError):
            faults += [f"{f.row} {f.field}: {f.what}" for f in item.faults]
        else:
            rows.append(item.number)
    return rows, faults


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True])
def test_every_kind_gives_the_same_rows(kind: str, packed: bool, tmp_path: Path) -> None:
    raw = KINDS[kind](ROWS)
    name = f"rows{kind}.gz" if packed else f"rows{kind}"
    rows = _rows(tmp_path, name, gzip.compress(raw) if packed else raw)
    assert [row.fields for row in rows] == ROWS
    assert file_kinds(name, tmp_path)[0].endswith(", gzip") is packed


def test_what_a_name_does_not_say_is_seen(tmp_path: Path) -> None:
    """Gzip without its suffix, JSON Lines that are named .json, separators of spreadsheets."""
    assert [r.fields for r in _rows(tmp_path, "a.jsonl", gzip.compress(_lines(ROWS)))] == ROWS
    assert [r.fields for r in _rows(tmp_path, "b.json", _lines(ROWS))] == ROWS
    for delimiter in ";\t":
        assert [r.fields for r in _rows(tmp_path, "c.csv", _csv(ROWS, delimiter))] == ROWS


@pytest.mark.parametrize("kind", [".jsonl", ".json", ".csv"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_byte_order_marks_and_line_ends_do_not_matter(
    kind: str, end: bytes, tmp_path: Path
) -> None:
    plain = [{"prompt": "Why?", "chosen": "So."}, {"prompt": "How?", "chosen": "Thus."}]
    raw = b"\xef\xbb\xbf" + KINDS[kind](plain).replace(b"\r\n", b"\n").replace(b"\n", end)
    assert [row.fields for row in _rows(tmp_path, f"rows{kind}", raw)] == plain


def test_rows_are_counted_as_a_person_does(tmp_path: Path) -> None:
    """Lines where the file is text, a CSV row by the line on which it begins; rows in Parquet."""
    assert [r.number for r in _rows(tmp_path, "a.jsonl", b'{"a":1}\n\n{"a":2}\r\n')] == [1, 3]
    assert [r.number for r in _rows(tmp_path, "b.csv", b'a,b\n"x\ny",z\n\nu,v\n')] == [2, 5]
    assert [r.number for r in _rows(tmp_path, "c.json", b'[{"a":1},\n\n{"a":2}]')] == [1, 2]
    assert [r.number for r in _rows(tmp_path, "d.parquet", _parquet(ROWS))] == [1, 2]


def test_messages_stand_in_csv_as_json(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": 'Say "hi"'}]
    raw = _csv([{"prompt": json.dumps(turns), "chosen": "[{not json}]", "rejected": "[1]"}])
    [row] = _rows(tmp_path, "a.csv", raw)
    assert row.fields == {"prompt": turns, "chosen": "[{not json}]", "rejected": "[1]"}
    rows, faults = _scan(tmp_path, "b.csv", _csv([{"prompt": str(turns)}]))
    assert (rows, faults) == (
        [],
        ["2 prompt: found messages that are not JSON; wanted a JSON list"],
    )


GOOD = b'{"a": "b"}\n'
BROKEN: dict[str, tuple[str, bytes, list[int], str]] = {
    "truncated line": ("a.jsonl", GOOD + b'{"a": "b\n' + GOOD, [1, 3], "2 None: is not JSON (Unte"),
    "truncated list": ("a.json", b'[{"a": 1}, {"a": 2}, {"a"', [1, 2], "3 None: is not JSON (Exp"),
    "no comma": ("a.json", b'[{"a": 1} {"a": 2}]', [1], "2 None: is not JSON (Expecting , or ]"),
    "object": ("a.json", b'{\n"a": [{"a": 1}]}', [], "None None: is not JSON rows, found an ob"),
    "no object": ("a.jsonl", GOOD + b"[1]\n" + GOOD, [1, 3], "2 None: found list; wanted an obj"),
    "bytes": ("a.jsonl", GOOD + b'{"a": "\xff"}\n' + GOOD, [1, 3], "2 a: found bytes that are n"),
    "bytes in turns": (
        "a.jsonl",
        b'{"a": "b", "c": [{"role": "\xe4"}]}\n' + GOOD,
        [2],
        "1 c: found bytes that are not UTF-8",
    ),
    "bytes in a list": ("a.json", b'[{"a": "\xff"}, {"a": 1}]', [2], "1 a: found bytes that ar"),
    "bytes in CSV": ("a.csv", b"a,b\nx,\xff\nu,v\n", [3], "2 b: found bytes that are not UTF-8"),
    "UTF-16": ("a.csv", "a,b\nc,d\n".encode("utf-16"), [], "None None: found UTF-16; wanted te"),
    "cells": ("a.csv", b"a,b\nx,y,z\nu,v\n", [3], "2 None: found 3 cells; wanted 2, as the"),
    "open quote": ("a.csv", b'a,b\nu,v\nx,"y\nz\n', [2], "3 None: is not CSV (unexpected end"),
    "quote": ("a.csv", b'a,b\nx,"y"z\nu,v\n', [3], "2 None: is not CSV ("),
    "two columns": ("a.csv", b"a,a\nx,y\n", [], "1 None: found the column a twice"),
    "no Parquet": ("a.parquet", b"PAR1", [], "None None: cannot be read as Parquet ("),
    "no gzip": ("a.jsonl.gz", GOOD, [], "1 None: cannot be read (Not a gzipped file"),
    "digits": ("a.jsonl", GOOD + b'{"a": ' + b"1" * 5000 + b"}\n", [1], "2 None: is not JSON ("),
    "twice": (
        "a.jsonl",
        GOOD + b'{"a": "b", "c": {"d": 1, "d": 2}}\n',
        [1],
        "2 None: is not JSON (key 'd'",
    ),
    "twice in a list": (
        "a.json",
        b'[{"a": 1}, {"a": 2, "a": 3}]',
        [1],
        "2 None: is not JSON (key 'a'",
    ),
    "deep": ("a.jsonl", GOOD + b"[" * 200_000 + b"\n", [1], "2 None: is not JSON ("),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_row_is_named_and_the_others_are_read(case: str, tmp_path: Path) -> None:
    name, raw, rows, fault = BROKEN[case]
    found, [what] = _scan(tmp_path, name, raw)
    assert found == rows
    assert what.startswith(fault)
    assert "\n" not in what
    with pytest.raises(InputError, match=f"^{name}"):
        list(read_rows(name, tmp_path))


def test_a_cut_gzip_gives_the_rows_before_the_cut(tmp_path: Path) -> None:
    lines = [json.dumps({"a": f"{number * 7919 % 104729:x}" * 50}) + "\n" for number in range(3000)]
    raw = gzip.compress("".join(lines).encode())
    rows, [fault] = _scan(tmp_path, "a.jsonl.gz", raw[: len(raw) // 2])
    assert 500 < len(rows) < 2500
    assert rows == list(range(1, len(rows) + 1))
    assert fault.startswith(f"{len(rows) + 1} None: cannot be read (Compressed file ended")


def test_a_parquet_cell_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    offsets, text = pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\xffb")
    wrong = pa.Array.from_buffers(pa.string(), 2, [None, offsets, text])
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "chosen": wrong}), sink)
    rows, faults = _scan(tmp_path, "a.parquet", sink.getvalue())
    assert (rows, faults) == (
        [2],
        ["1 chosen: found bytes that are not UTF-8; wanted text in UTF-8"],
    )


def test_a_row_of_a_megabyte_is_read_from_every_kind(tmp_path: Path) -> None:
    rows = [{"prompt": "Why?", "chosen": "long " * 200_000}]
    for kind, write in KINDS.items():
        assert [r.fields for r in _rows(tmp_path, f"a{kind}", write(rows))] == rows


@settings(max_examples=60)
@given(st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.text()}), min_size=1, max_size=4))
def test_any_text_survives_every_kind(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for kind, write in KINDS.items():
        if kind == ".csv" and any(
            not any(row.values()) or str(row).lstrip().startswith("[") for row in rows
        ):
            continue  # CSV knows no row without text
        assert [r.fields for r in _rows(folder, f"a{kind}", write(rows))] == rows


@pytest.mark.parametrize("kind", ["file", "folder", "in a folder"])
def test_a_link_out_of_the_pipeline_is_refused(tmp_path: Path, kind: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "pipeline"
    outside.mkdir()
    (root / "raw").mkdir(parents=True)
    (outside / "rows.jsonl").write_text('{"prompt": "a"}\n')
    link, target, source = {
        "file": ("rows.jsonl", "rows.jsonl", "rows.jsonl"),
        "folder": ("linked", "", "linked"),
        "in a folder": ("raw/rows.jsonl", "rows.jsonl", "raw"),
    }[kind]
    (root / link).symlink_to(outside / target)
    with pytest.raises(InputError, match=r"is or lies behind a link to .*outside the pipeline's"):
        refuse_links(source, root)


def test_links_within_the_pipeline_and_places_said_outright_are_fine(tmp_path: Path) -> None:
    root = tmp_path / "pipeline"
    root.mkdir()
    (root / "rows.jsonl").write_text('{"prompt": "a"}\n')
    (root / "again.jsonl").symlink_to(root / "rows.jsonl")
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a"}\n')
    for source in ("rows.jsonl", "again.jsonl", "../rows.jsonl", str(tmp_path / "rows.jsonl")):
        refuse_links(source, root)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A dataset as the Hub holds it, with a split `eval` alone; datasets looks here first."""
    folder = tmp_path / "hub" / "org" / "name"
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_bytes(_lines(ROWS))
    card = "configs:\n- config_name: default\n  data_files: [{split: eval, path: rows.jsonl}]\n"
    (folder / "README.md").write_text(f"---\n{card}---\n")
    monkeypatch.chdir(tmp_path / "hub")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return f"org/name@{'0' * 40}"


def test_a_hub_dataset_is_read_by_its_split(hub: str, tmp_path: Path) -> None:
    rows = list(read_rows(f"{hub}#eval", tmp_path / "pipeline"))
    assert [row.fields for row in rows] == ROWS
    with pytest.raises(InputError, match=r"#train: cannot be fetched .*train.*eval"):
        list(read_rows(hub, tmp_path / "pipeline"))
