"""Instruction sets: their order, their outputs, and what is wrong with them."""

import json
from pathlib import Path

import pytest

from spa.errors import InputError
from spa.importing.instructions import read_instructions


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


def test_null_fields_are_none(tmp_path: Path) -> None:
    row = {"prompt": None, "instruction": "Why?", "output": "So.", "generator": None}
    (tmp_path / "set.jsonl").write_text(json.dumps(row) + "\n")
    [found] = read_instructions("set.jsonl", tmp_path)
    assert (found.prompt.prompt[0]["content"], found.generator) == ("Why?", "reference")
