"""Reading people's data: the shapes they have, and one clear error for every fault."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spa.errors import InputError
from spa.importing import read_instructions, read_pairs, read_prompts

USER = {"role": "user", "content": "Why does bread rise?"}
GOOD = {"role": "assistant", "content": "Yeast makes gas."}
BAD = {"role": "assistant", "content": "No idea."}
PLAIN = {"prompt": USER["content"], "chosen": GOOD["content"], "rejected": BAD["content"]}
SHAPES: dict[str, dict[str, Any]] = {
    "explicit text": PLAIN,
    "explicit messages": {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
    "implicit messages": {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
    "implicit text": {
        "chosen": "Why does bread rise?\n\nYeast makes gas.",
        "rejected": "Why does bread rise?\n\nNo idea.",
    },
    "UltraFeedback binarized": {
        "prompt": USER["content"],
        "prompt_id": "abc",
        "chosen": [USER, GOOD],
        "rejected": [USER, BAD],
        "score_chosen": 8.0,
    },
}


def _write(folder: Path, *rows: Any, name: str = "pairs.jsonl") -> str:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    (folder / name).write_text(text, encoding="utf-8")
    return name


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_pair(shape: str, tmp_path: Path) -> None:
    [pair] = read_pairs(_write(tmp_path, SHAPES[shape]), tmp_path).pairs
    assert pair.prompt == [USER]
    assert (pair.chosen, pair.rejected) == ("Yeast makes gas.", "No idea.")
    assert (pair.chosen_finish_reason, pair.rejected_finish_reason) == ("stop", "stop")
    assert pair.pair_id == read_pairs(_write(tmp_path, PLAIN), tmp_path).pairs[0].pair_id


def test_conversations_keep_their_turns_and_system_turn(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be brief."}, USER, BAD, USER]
    row = {"chosen": [*turns, GOOD], "rejected": [*turns, BAD]}
    [pair] = read_pairs(_write(tmp_path, row), tmp_path, system="Be long.").pairs
    assert pair.prompt == turns


def test_a_system_turn_is_put_before_prompts_without_one(tmp_path: Path) -> None:
    name = _write(tmp_path, PLAIN)
    expected = [{"role": "system", "content": "Be brief."}, USER]
    assert read_pairs(name, tmp_path, system="Be brief.").pairs[0].prompt == expected
    assert read_prompts(name, tmp_path, system="Be brief.")[0].prompt == expected


def test_json_parquet_gzip_and_folders_read_alike(tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    rows = [{**PLAIN, "prompt": f"Question {n}?"} for n in range(4)]
    (many / "a.json").write_text(json.dumps(rows[:1]))
    (many / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps(rows[1]).encode()))
    pq.write_table(pa.Table.from_pylist(rows[2:]), many / "c.parquet")
    found = [pair.prompt[0]["content"] for pair in read_pairs("many", tmp_path).pairs]
    assert found == [row["prompt"] for row in rows]


def test_repeated_rows_count_once_and_unread_columns_are_named(tmp_path: Path) -> None:
    other = {**PLAIN, "rejected": "I do not know."}
    imported = read_pairs(_write(tmp_path, PLAIN, other, {**PLAIN, "score": 3}), tmp_path)
    assert (len(imported.pairs), imported.repeated) == (2, 1)
    assert imported.dropped_columns == ("score",)


def test_finish_reasons_are_read(tmp_path: Path) -> None:
    name = _write(tmp_path, {**PLAIN, "rejected_finish_reason": "length"})
    assert read_pairs(name, tmp_path).pairs[0].rejected_finish_reason == "length"


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
    name = _write(tmp_path, PLAIN, row, PLAIN)
    with pytest.raises(InputError, match=f"^pairs.jsonl, {message}") as raised:
        read_pairs(name, tmp_path)
    assert "\n" not in str(raised.value)


def test_rows_are_counted_over_blank_lines(tmp_path: Path) -> None:
    name = _write(tmp_path, PLAIN, "", _without("chosen"))
    with pytest.raises(InputError, match="row 3, field 'chosen'"):
        read_pairs(name, tmp_path)


def test_bytes_that_are_not_utf8_name_their_row(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_bytes(json.dumps(PLAIN).encode() + b'\n{"prompt": "\xff"}\n')
    with pytest.raises(InputError, match=r"pairs.jsonl, row 2: found bytes that are not UTF-8"):
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


def test_instructions_keep_their_order_and_bring_their_outputs(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Why?", "output": "So.", "generator": "gpt", "dataset": "x"},
        {"instruction": "How?", "output": "", "generator": "gpt"},
    ]
    (tmp_path / "set.json").write_text(json.dumps(rows))
    first, second = read_instructions("set.json", tmp_path)
    assert first.prompt.prompt == [{"role": "user", "content": "Why?"}]
    assert (first.output, first.generator, second.output) == ("So.", "gpt", "")
    (tmp_path / "own.jsonl").write_text('{"prompt": "Why?"}\n')
    assert read_instructions("own.jsonl", tmp_path)[0].output is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"instruction": "a"}, {"instruction": "a"}],
            "row 2, field 'instruction': is there twice",
        ),
        ([{"instruction": "a", "output": "b"}, {"instruction": "c"}], "row 2, field 'output'"),
        ([{"text": "a"}], "row 1, field 'instruction': missing"),
        ([], "found no rows"),
    ],
)
def test_a_faulty_instruction_set_is_named(
    rows: list[dict[str, str]], message: str, tmp_path: Path
) -> None:
    (tmp_path / "set.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match=message):
        read_instructions("set.json", tmp_path)
