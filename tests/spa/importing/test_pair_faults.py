"""Reading people's pairs: one clear error for every fault."""

import json
from pathlib import Path
from typing import Any

import pytest

from spa.errors import InputError
from spa.importing.pairs import pair_of, read_pairs
from spa.importing.row import Row, RowError
from tests.spa.importing.pair_rows import BAD, GOOD, PLAIN, USER, write_rows


def _without(field: str) -> dict[str, Any]:
    return {key: value for key, value in PLAIN.items() if key != field}


FAULTS: dict[str, tuple[Any, str]] = {
    "missing chosen": (_without("chosen"), r"row 2, field 'chosen': missing \(found prompt, rej"),
    "missing rejected": (_without("rejected"), r"row 2, field 'rejected': missing"),
    "number": ({**PLAIN, "chosen": 3}, r"row 2, field 'chosen': found 3; wanted text"),
    "null": ({**PLAIN, "rejected": None}, r"row 2, field 'rejected': found null"),
    "blank prompt": ({**PLAIN, "prompt": " "}, r"row 2, field 'prompt': found nothing but"),
    "NUL": ({**PLAIN, "chosen": "a\0b"}, r"row 2, field 'chosen': found a NUL"),
    "not JSON": ("{oops", r"row 2: is not JSON"),
    "no object": ([1], r"row 2: found list; wanted an object"),
    "finish reason": (
        {**PLAIN, "chosen_finish_reason": "eos"},
        r"row 2, field 'chosen_finish_reason': found 'eos'; wanted stop or length",
    ),
    "no answer": (
        {"chosen": [USER, USER], "rejected": [USER, BAD]},
        r"row 2, field 'chosen': ends with a turn of user",
    ),
    "bad turn": (
        {"chosen": [USER, {"role": "assistant"}], "rejected": [USER, BAD]},
        r"row 2, field 'chosen': found the turn",
    ),
    "bad role": (
        {"chosen": [{"role": "bot", "content": "x"}], "rejected": [USER, BAD]},
        r"row 2, field 'chosen': found the role 'bot'",
    ),
    "transcript without an answer": (
        {
            "chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c",
            "rejected": "\n\nHuman: a\n\nAssistant:",
        },
        r"row 2, field 'chosen': ends with a turn of user",
    ),
    "blank question in messages": (
        {"chosen": [{**USER, "content": " "}, GOOD], "rejected": [{**USER, "content": " "}, BAD]},
        r"row 2, field 'prompt': found nothing but blanks",
    ),
    "surrogate": ({**PLAIN, "rejected": "a\ud800"}, r"row 2, field 'rejected': found half"),
    "two kinds": ({**PLAIN, "chosen": [GOOD]}, r"row 2, field 'rejected': another type"),
    "two prompts": (
        {"chosen": [USER, GOOD], "rejected": [{**USER, "content": "Else?"}, BAD]},
        r"row 2, field 'rejected': its turns before the answer differ",
    ),
    "no shared prompt": (
        {"chosen": "Yes it is", "rejected": "No"},
        r"row 2, field 'prompt': missing, and chosen and rejected begin differently",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_with_file_row_and_field(fault: str, tmp_path: Path) -> None:
    row, message = FAULTS[fault]
    name = write_rows(tmp_path, PLAIN, row, PLAIN)
    with pytest.raises(InputError, match=f"^pairs.jsonl, {message}") as raised:
        read_pairs(name, tmp_path)
    assert "\n" not in str(raised.value)


def test_rows_are_counted_over_blank_lines(tmp_path: Path) -> None:
    name = write_rows(tmp_path, PLAIN, "", _without("chosen"))
    with pytest.raises(InputError, match="row 3, field 'chosen'"):
        read_pairs(name, tmp_path)


def test_bytes_that_are_not_utf8_name_their_row(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_bytes(json.dumps(PLAIN).encode() + b'\n{"prompt": "\xff"}\n')
    with pytest.raises(InputError, match=r"pairs.jsonl, row 2, field 'prompt': found bytes that"):
        read_pairs("pairs.jsonl", tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.jsonl", "nowhere.jsonl: not found; wanted a file or folder"),
        ("org/name", "org/name: not found; .* with its commit"),
        ("notes.txt", "found notes.txt; wanted files ending in .jsonl"),
        ("empty.jsonl", "found no rows"),
        ("broken.parquet", "cannot be read as Parquet"),
    ],
)
def test_a_source_that_cannot_be_read_says_why(source: str, message: str, tmp_path: Path) -> None:
    for name in ("notes.txt", "empty.jsonl", "broken.parquet"):
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=message):
        read_pairs(source, tmp_path)


def test_a_row_tells_all_its_faults_at_once(tmp_path: Path) -> None:
    row = Row("a.jsonl", 7, {"prompt": "", "chosen": 3, "chosen_finish_reason": "eos"})
    with pytest.raises(RowError) as raised:
        pair_of(row)
    fields = ["chosen", "rejected", "chosen_finish_reason", "prompt"]
    assert [fault.field for fault in raised.value.faults] == fields
    assert {fault.row for fault in raised.value.faults} == {7}
    assert str(raised.value).startswith("a.jsonl, row 7, field 'chosen': found 3; wanted")
