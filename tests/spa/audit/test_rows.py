"""Every edited row is named, whatever the records say of its file."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from spa.audit import audit
from spa.layout import Layout
from spa.manifest import root_hash
from spa.records import content_hash, pair_hash
from tests.spa.audit.tampering import (
    Rows,
    another_margin,
    by_rows_alone,
    edit,
    edit_yaml,
    forge,
    rows_at_fault,
)


def _text(rows: Rows) -> None:
    rows[2]["chosen"] = "Something that nobody said."


def _text_and_id(rows: Rows) -> None:
    rows[2]["chosen"] = "Something that nobody said."
    rows[2]["pair_id"] = pair_hash(rows[2]["prompt"], rows[2]["chosen"], rows[2]["rejected"])


def _added(rows: Rows) -> Rows:
    own = {**rows[0], "chosen": "new", "margin": 1.0}
    own["pair_id"] = pair_hash(own["prompt"], "new", own["rejected"])
    return [*rows, own]


def _twice(rows: Rows) -> Rows:
    return [*rows, rows[1]]


def _reordered(rows: Rows) -> Rows:
    return [rows[0], rows[2], rows[1], *rows[3:]]


def _swapped(rows: Rows) -> None:
    row = rows[3]
    for one in ("{}", "{}_id", "{}_finish_reason"):
        a, b = one.format("chosen"), one.format("rejected")
        row[a], row[b] = row[b], row[a]
    row["pair_id"] = pair_hash(row["prompt"], row["chosen"], row["rejected"])


def _probability(rows: Rows) -> None:
    rows[4]["probability"] = 0.9


def _reward(rows: Rows) -> None:
    rows[5]["reward"] += 0.5


def _policy_logp(rows: Rows) -> None:
    rows[5]["policy_logp"] += 0.5
    rows[5]["reward"] += 0.5


def _tokens(rows: Rows) -> None:
    rows[6]["token_ids"][0] += 1


def _tokens_and_id(rows: Rows) -> None:
    row = rows[6]
    row["text"] = "other"
    row["seed"] += 1
    keys = ("prompt_id", "sample", "seed", "model", "token_ids")
    row["response_id"] = content_hash(*(row[key] for key in keys))


def _step(rows: Rows) -> None:
    rows[0]["pair_id"], rows[1]["pair_id"] = rows[1]["pair_id"], rows[0]["pair_id"]


def _softened(rows: Rows) -> None:
    rows[1]["flagged"] = True


def _longer(rows: Rows) -> None:
    """One token more than generate.max_new_tokens allows, and all that follows from it."""
    row = rows[6]
    row["token_ids"].append(5)
    row["token_logprobs"].append(-1.0)
    row["logprob"] -= 1.0
    keys = ("prompt_id", "sample", "seed", "model", "token_ids")
    row["response_id"] = content_hash(*(row[key] for key in keys))


def _set(column: str, value: Any) -> Callable[[Rows], None]:
    """Give the second row another value."""

    def change(rows: Rows) -> None:
        rows[1][column] = value

    return change


ROWS = [
    ("round-1/pairs", _text, 3),
    ("round-1/pairs", _text_and_id, 3),
    ("round-1/pairs", _added, 13),
    ("round-1/pairs", lambda rows: rows[:5] + rows[6:], 6),
    ("round-1/pairs", _reordered, 2),
    ("round-1/pairs", _swapped, 4),
    ("round-1/pairs", another_margin, 5),
    ("round-1/pairs", _probability, 5),
    ("round-2/kept", _text, 3),
    ("round-2/kept", _added, 11),
    ("round-2/kept", _twice, 11),
    ("round-2/kept", lambda rows: rows[:5] + rows[6:], 6),
    ("round-2/kept", _reordered, 2),
    ("round-2/kept", _swapped, 4),
    ("round-2/kept", another_margin, 5),
    ("round-1/scores", _reward, 6),
    ("round-1/scores", _policy_logp, 6),
    ("round-1/scores", _reordered, 2),
    ("round-1/responses", _tokens, 7),
    ("round-1/responses", _tokens_and_id, 7),
    ("round-1/responses", _twice, 25),
    ("round-1/responses", _longer, 7),
    ("round-1/responses", _set("logprob", -1.0), 2),
    ("round-1/responses", _set("token_logprobs", [-1.0]), 2),
    ("round-1/pairs", _set("method", "random"), 2),
    ("round-1/training_log", _step, 1),
    ("round-1/training_log", _softened, 2),
    ("round-0/training_log", lambda rows: rows[1:], 1),
    ("pools/seed", _text, 3),
    ("pools/seed", _text_and_id, 3),
    ("pools/1", _reordered, 2),
    ("pools/test", lambda rows: rows[:-1], 8),
    *(("round-1/training_log", _set(column, value), 2) for column, value in (
        ("loss", 0.1), ("margin", 0.4), ("extrapolated_margin", 0.3), ("confidence", 0.9),
        ("threshold", 0.4), ("refined", True), ("learning_rate", 1.0), ("step", 3))),
    ("round-0/training_log", _set("loss", 0.1), 2),
    *(("round-1/flagged", _set(column, value), 2) for column, value in (
        ("margin", 9.0), ("probability", 0.99), ("chosen", "Other."), ("rejected_id", "0"),
        ("chosen_finish_reason", "stop"), ("action", "warn"), ("reasons", ["cut:chosen"]),
        ("reasons", ["unheard:chosen"]), ("reasons", []))),
    ("round-1/flagged", _set("reasons", ["repetition:chosen", "tie"]), None),
    ("round-1/scores", _set("prompt_id", "0"), 2),
    ("pools/seed", _set("chosen_finish_reason", "length"), 2),
    ("pools/gold", _set("rejected_finish_reason", "length"), 2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "row"), ROWS)
def test_an_edited_row_is_named_whatever_the_records_say(
    rows: Layout, name: str, change: Callable[[Rows], Rows | None], row: int | None
) -> None:
    file = f"data/{name}.parquet"
    edit(rows.root / file, change)
    assert row in by_rows_alone(rows, file)


@pytest.mark.parametrize(("name", "change", "row"), [ROWS[6], ROWS[13], ROWS[17], ROWS[25]])
def test_an_edit_is_named_by_file_and_row_and_after_forging_by_row_and_root(
    run: Layout, name: str, change: Callable[[Rows], Rows | None], row: int
) -> None:
    file = f"data/{name}.parquet"
    edit(run.root / file, change)
    assert {None, row} <= rows_at_fault(run, file)
    before = root_hash(run)
    forge(run)
    assert row in rows_at_fault(run, file)
    assert None not in rows_at_fault(run, file)
    assert root_hash(run) != before  # which a signed tag still holds


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [("scores", "reward", None), ("responses", "token_ids", None), ("pairs", "margin", None),
     ("responses", "token_logprobs", [None, -1.0]), ("kept", "prompt", [None])],
)  # fmt: skip
def test_a_value_taken_out_is_named_by_row(
    rows: Layout, name: str, column: str, value: Any
) -> None:
    file = f"data/round-1/{name}.parquet"
    edit(rows.root / file, _set(column, value))
    assert by_rows_alone(rows, file) == {2}


def test_a_flag_taken_away_is_named_where_its_pair_should_be_kept(rows: Layout) -> None:
    edit(rows.flagged(2), lambda own: own[:1])
    assert by_rows_alone(rows, "data/round-2/kept.parquet") == {7}


def _flag(layout: Layout, row: dict[str, Any]) -> None:
    """Say that a check has taken a pair out of the seed."""
    table = pq.read_table(layout.flagged(0))
    flag = {**row, "reasons": ["identical"], "action": "drop"}
    pq.write_table(pa.Table.from_pylist([flag], schema=table.schema), layout.flagged(0))


def test_a_flag_put_on_a_seed_pair_is_named_where_it_was_trained_on(rows: Layout) -> None:
    _flag(rows, pq.read_table(rows.pool("seed")).to_pylist()[0])
    assert by_rows_alone(rows, "data/pools/flagged_seed.parquet") == set()
    assert by_rows_alone(rows, "data/round-0/training_log.parquet")


def test_a_flag_on_a_pair_that_is_not_in_the_seed_is_named(rows: Layout) -> None:
    _flag(rows, pq.read_table(rows.pool("gold")).to_pylist()[0])
    assert by_rows_alone(rows, "data/pools/flagged_seed.parquet") == {1}


@pytest.mark.parametrize("name", ["seed", "gold"])
@pytest.mark.parametrize(
    ("column", "value"), [("chosen_finish_reason", "length"), ("action", "warn")]
)
def test_a_flagged_pair_of_the_seed_or_gold_that_was_edited_is_named(
    rows: Layout, name: str, column: str, value: str
) -> None:
    file = rows.flagged(0 if name == "seed" else name)
    row = pq.read_table(rows.pool(name)).to_pylist()[0]
    flag = {**row, "reasons": ["identical"], "action": "drop", column: value}
    schema = pq.read_table(file).schema
    pq.write_table(pa.Table.from_pylist([flag], schema=schema), file)
    assert by_rows_alone(rows, rows.show(file)) == {1}


def test_a_held_out_prompt_in_a_pool_is_named(run: Layout) -> None:
    test = pq.read_table(run.pool("test")).to_pylist()
    edit(run.pool(1), lambda rows: [*rows[:3], test[0], *rows[4:]])
    assert 4 in rows_at_fault(run, "data/pools/1.parquet")


def test_a_gold_pair_in_training_is_named(run: Layout) -> None:
    gold = pq.read_table(run.pool("gold")).to_pylist()[0]
    edit(run.kept(1), lambda rows: [*rows[:3], {**rows[3], **gold}, *rows[4:]])
    edit(run.pool("seed"), lambda rows: [gold, *rows[1:]])
    said = [str(fault) for fault in audit(run).findings.faults]
    for start in ("data/round-1/kept.parquet, row 4", "data/pools/seed.parquet, row 1"):
        assert any(s.startswith(f"{start}: trains on {gold['pair_id']}, a gold pair") for s in said)


@pytest.mark.parametrize("pool", ["test", "development", "gold"])
def test_a_held_out_prompt_in_training_is_named(run: Layout, pool: str) -> None:
    prompt = pq.read_table(run.pool(pool)).to_pylist()[0]["prompt_id"]
    edit(run.kept(1), _set("prompt_id", prompt))
    said = [str(fault) for fault in audit(run).findings.faults]
    told = f"trains on prompt {prompt}, which data/pools/{pool}.parquet holds out"
    assert f"data/round-1/kept.parquet, row 2: {told}" in said


@pytest.mark.parametrize("pool", ["gold", "hidden_gold"])
def test_a_gold_pair_that_was_turned_round_is_one_in_training_too(run: Layout, pool: str) -> None:
    gold = pq.read_table(run.pool(pool)).to_pylist()[0]
    turned = {**gold, "chosen": gold["rejected"], "rejected": gold["chosen"]}
    edit(run.kept(1), lambda rows: [*rows[:3], {**rows[3], **turned}, *rows[4:]])
    told = f"row 4: trains on {gold['pair_id']}, a gold pair of data/pools/{pool}.parquet"
    assert f"data/round-1/kept.parquet, {told}" in [str(f) for f in audit(run).findings.faults]


def test_files_swapped_between_rounds_are_named(run: Layout) -> None:
    first, second = run.responses(1).read_bytes(), run.responses(2).read_bytes()
    run.responses(1).write_bytes(second)
    run.responses(2).write_bytes(first)
    forge(run)
    for round in (1, 2):
        assert 1 in rows_at_fault(run, f"data/round-{round}/responses.parquet")


def test_a_replaced_policy_is_named_and_so_are_the_answers_that_are_not_its(run: Layout) -> None:
    file = run.policy(1) / "model.safetensors"
    save_file({"weight": load_file(file)["weight"] + 1}, file)
    name = "data/round-1/policy/model.safetensors"
    assert rows_at_fault(run, name) == {None}
    forge(run)
    assert rows_at_fault(run, name) == set()
    assert rows_at_fault(run, "data/round-2/responses.parquet") == set(range(1, 25))


def test_the_reference_of_another_round_is_named(run: Layout) -> None:
    edit_yaml(run.params, lambda params: params["rounds"]["2"].update(prev="0"))
    said = [str(fault) for fault in audit(run).findings.faults]
    assert any(s.startswith("dvc.lock: train@2, deps: data/round-1/policy") for s in said)
    assert any("rounds.2.prev: found '0'; stages ran with '1'" in s for s in said)
    assert any(
        s.startswith("data/round-2/responses.parquet, row 1: sampled by model") for s in said
    )
