"""Reading people's pairs: every shape that they have."""

import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spa.errors import InputError
from spa.importing.pairs import read_pairs
from spa.importing.prompts import read_prompts
from spa.splits import partition
from tests.spa.importing.pair_rows import BAD, GOOD, PLAIN, SHAPES, USER, write_rows


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_pair(shape: str, tmp_path: Path) -> None:
    [pair] = read_pairs(write_rows(tmp_path, SHAPES[shape]), tmp_path).pairs
    assert pair.prompt == [USER]
    assert (pair.chosen, pair.rejected) == ("Yeast makes gas.", "No idea.")
    assert (pair.chosen_finish_reason, pair.rejected_finish_reason) == ("stop", "stop")
    assert pair.pair_id == read_pairs(write_rows(tmp_path, PLAIN), tmp_path).pairs[0].pair_id


def test_the_examples_of_the_docs_all_give_that_pair(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(json|csv)\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 5
    for kind, block in blocks:
        name = "a.csv" if kind == "csv" else "a.jsonl"
        (tmp_path / name).write_text(block, encoding="utf-8")
        [pair] = read_pairs(name, tmp_path).pairs
        assert (pair.prompt, pair.chosen, pair.rejected) == ([USER], "Yeast makes gas.", "No idea.")


def test_conversations_keep_their_turns_and_system_turn(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be brief."}, USER, BAD, USER]
    row = {"chosen": [*turns, GOOD], "rejected": [*turns, BAD]}
    [pair] = read_pairs(write_rows(tmp_path, row), tmp_path, system="Be long.").pairs
    assert pair.prompt == turns


def test_transcripts_keep_their_turns_and_the_blank_lines_within(tmp_path: Path) -> None:
    start = "\n\nHuman: Bread?\n\nAssistant: Bread:\n\nflour, water.\n\nHuman: And?\n\nAssistant:"
    row = {"chosen": f"{start} Heat.\n\nAnd time.", "rejected": f"{start}"}
    imported = read_pairs(write_rows(tmp_path, row), tmp_path)
    [pair] = imported.pairs
    assert pair.prompt == [
        {"role": "user", "content": "Bread?"},
        {"role": "assistant", "content": "Bread:\n\nflour, water."},
        {"role": "user", "content": "And?"},
    ]
    assert (pair.chosen, pair.rejected) == ("Heat.\n\nAnd time.", "")
    assert imported.format == "Anthropic hh transcripts"


def test_transcripts_whose_lines_end_as_on_windows_are_transcripts(tmp_path: Path) -> None:
    start = "\r\n\r\nHuman: Why?\r\n\r\nAssistant:"
    row = {"chosen": f"{start} So.\r\nYes.\r\n", "rejected": f"{start} No."}
    imported = read_pairs(write_rows(tmp_path, row), tmp_path)
    [pair] = imported.pairs
    assert pair.prompt == [{"role": "user", "content": "Why?"}]
    assert (pair.chosen, pair.rejected) == ("So.\r\nYes.", "No.")
    assert imported.format == "Anthropic hh transcripts"


def test_csv_pairs_may_leave_cells_empty(tmp_path: Path) -> None:
    text = "prompt,chosen,rejected,chosen_finish_reason\nWhy?,So.,,\nHow?,Thus.,No.,length\n"
    (tmp_path / "a.csv").write_text(text)
    first, second = read_pairs("a.csv", tmp_path).pairs
    assert (first.rejected, first.chosen_finish_reason) == ("", "stop")
    assert second.chosen_finish_reason == "length"


def test_a_source_is_told_in_a_line(tmp_path: Path) -> None:
    name = write_rows(tmp_path, PLAIN, {**PLAIN, "score": 3}, SHAPES["implicit messages"])
    assert read_pairs(name, tmp_path).summary(name) == (
        "pairs.jsonl: mixed: TRL preference, explicit prompt, plain text (2 rows); TRL preference, "
        "implicit prompt, conversational (1 rows); 3 rows, 1 pairs; 2 repeated rows left out; "
        "columns not read: score"
    )


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "pairs", "prompts"), [("balanced", 652, 248), ("natural", 634, 243)]
)
def test_real_pairs_are_read_as_they_are_and_split_by_prompt(
    name: str, pairs: int, prompts: int, shared: Path
) -> None:
    imported = read_pairs(f"gpt4_preferences/{name}.jsonl", shared)
    assert (imported.rows, imported.repeated) == (pairs, 0)
    assert imported.format == "TRL preference, explicit prompt, conversational"
    assert imported.dropped_columns == ("id",)
    pools = partition(
        imported.pairs, [], seed=0, seed_pairs=128, development=10, test=20, gold=100,
        round_sizes={"1": 40},
    )  # fmt: skip
    groups = [{p.prompt_id for p in pool} for pool in (pools.seed, pools.gold, pools.hidden_gold)]
    assert sum(map(len, groups)) == len(set().union(*groups)) == prompts
    assert len(pools.seed) + len(pools.gold) + len(pools.hidden_gold) == pairs


def test_a_system_turn_is_put_before_prompts_without_one(tmp_path: Path) -> None:
    name = write_rows(tmp_path, PLAIN)
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
    imported = read_pairs(write_rows(tmp_path, PLAIN, other, {**PLAIN, "score": 3}), tmp_path)
    assert (len(imported.pairs), imported.repeated) == (2, 1)
    assert imported.dropped_columns == ("score",)


def test_finish_reasons_are_read(tmp_path: Path) -> None:
    name = write_rows(tmp_path, {**PLAIN, "rejected_finish_reason": "length"})
    assert read_pairs(name, tmp_path).pairs[0].rejected_finish_reason == "length"


@pytest.mark.parametrize("shape", ["implicit messages", "Anthropic hh"])
@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.parquet"])
def test_a_null_prompt_is_none_where_the_answers_hold_it(
    shape: str, name: str, tmp_path: Path
) -> None:
    row = SHAPES[shape] | {"prompt": None}
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / name)
    else:
        write_rows(tmp_path, row)
    [pair] = read_pairs(name, tmp_path).pairs
    assert (pair.prompt, pair.chosen) == ([USER], GOOD["content"])


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.parquet"])
def test_a_null_prompt_is_not_guessed_from_answers_that_begin_alike(
    name: str, tmp_path: Path
) -> None:
    """Their own first words would become the prompt."""
    row = {"prompt": None, "chosen": "It is yeast.", "rejected": "It is air."}
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / name)
    else:
        write_rows(tmp_path, row)
    with pytest.raises(InputError, match=rf"{name}, row 1, field 'prompt': found null; wanted"):
        read_pairs(name, tmp_path)


def test_a_csv_row_of_empty_cells_is_refused_and_a_blank_line_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("prompt,chosen,rejected\n\nWhy?,So.,No.\n,,\n")
    with pytest.raises(InputError, match=r"pairs.csv, row 4, field 'prompt': found nothing but"):
        read_pairs("pairs.csv", tmp_path)
    with pytest.raises(InputError, match=r"pairs.csv, row 4, field 'prompt': found nothing but"):
        read_prompts("pairs.csv", tmp_path)


def test_an_answer_in_csv_that_is_json_of_something_else_stays_text(tmp_path: Path) -> None:
    lists = ['[{"name": "yeast"}]', '[{"name": "air"}, 5]']
    cells = ",".join('"' + text.replace('"', '""') + '"' for text in ["Why?", *lists])
    (tmp_path / "pairs.csv").write_text(f"prompt,chosen,rejected\n{cells}\n")
    [pair] = read_pairs("pairs.csv", tmp_path).pairs
    assert [pair.chosen, pair.rejected] == lists
