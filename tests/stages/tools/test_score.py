"""Tool `score`: rewards of any answers under any two models, by hand and as a command."""

import copy
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from spa.importing.answers import read_answers
from spa.models import Policy
from stages._app import run
from tests.tiny import write_tiny_model

ROWS: list[dict[str, Any]] = [
    {"prompt": "Why does bread rise?", "response": "Yeast makes gas.", "source": "a"},
    {"prompt": [{"role": "user", "content": "And dough?"}], "response": "It holds the gas, so."},
    {"prompt": "Why?", "response": "", "source": "b"},
    {"prompt": "Can cats?", "response": "They", "finish_reason": "length", "n": 1},
    {"prompt": "What is the sky?", "response": "Blue light, the most of it. " * 6, "n": "x"},
]


@dataclass(frozen=True)
class Done:
    """What a call of the command left."""

    code: int
    out: str
    error: str


Score = Callable[..., Done]


@pytest.fixture
def score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Score:
    """`spa score` on rows written to answers.jsonl, called in this process."""

    def call(
        rows: list[dict[str, Any]],
        policy: Path,
        reference: Path,
        *more: str,
        out: str = "out/scored.parquet",
    ) -> Done:
        monkeypatch.chdir(tmp_path)
        Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        models = ["--policy", str(policy), "--reference", str(reference)]
        with pytest.raises(SystemExit) as stop:
            run(["score", "answers.jsonl", *models, "--out", out, *more])
        return Done(int(stop.value.code or 0), *capsys.readouterr())

    return call


@torch.no_grad()
def _slow(policy: Policy, row: dict[str, Any]) -> tuple[float, int]:
    """Sum and number of an answer's token log-probabilities, one at a time, in float64."""
    model = copy.deepcopy(policy.model).double()
    turns = row["prompt"]
    if isinstance(turns, str):
        turns = [{"role": "user", "content": turns}]
    tokenizer = policy.encoder.tokenizer
    text = "".join(f"<|im_start|>{t['role']}\n{t['content']}<|im_end|>\n" for t in turns)
    ids = tokenizer(text + "<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    answer = tokenizer(row["response"], add_special_tokens=False)["input_ids"]
    if row.get("finish_reason", "stop") == "stop":
        answer = [*answer, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    total = 0.0
    for token in answer:
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
        total += float(torch.log_softmax(logits, -1)[token])
        ids = [*ids, token]
    return total, len(answer)


def test_rows_come_back_in_order_with_the_rewards_of_a_slow_loop(
    score: Score, tmp_path: Path, tiny_folder: Path, other_folder: Path, tiny: Policy, other: Policy
) -> None:
    done = score(ROWS, tiny_folder, other_folder, "--json")
    assert done.code == 0, done.error
    found = pq.read_table(tmp_path / "out" / "scored.parquet").to_pylist()
    assert [row["response"] for row in found] == [row["response"] for row in ROWS]
    assert [row["source"] for row in found] == ["a", None, "b", None, None]
    for row, asked in zip(found, ROWS, strict=True):
        (ours, tokens), (theirs, _) = _slow(tiny, asked), _slow(other, asked)
        assert row["policy_logp"] == pytest.approx(ours, abs=1e-4)
        assert row["reference_logp"] == pytest.approx(theirs, abs=1e-4)
        assert row["reward"] == pytest.approx(ours - theirs, abs=2e-4)
        assert row["tokens"] == tokens
    said = json.loads(done.out)
    assert said["rows"] == 5
    assert said["dropped_columns"] == ["n"]
    assert found[0]["prompt"] == [{"role": "user", "content": "Why does bread rise?"}]
    assert said["mean_reward"] == pytest.approx(sum(row["reward"] for row in found) / 5)


def test_parquet_with_messages_keeps_every_column(
    score: Score, tmp_path: Path, tiny_folder: Path, other_folder: Path
) -> None:
    rows = [{"prompt": [{"role": "user", "content": q}], "response": "Gas."} for q in ("A?", "B?")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "answers.parquet")
    answers = read_answers("answers.parquet", tmp_path)
    assert [answer.row.fields for answer in answers] == rows
    assert score(rows, tiny_folder, other_folder).code == 0
    table = pq.read_table(tmp_path / "out" / "scored.parquet")
    wanted = ["prompt", "response", "policy_logp", "reference_logp", "tokens", "reward"]
    assert table.column_names == wanted
    assert [row["prompt"] for row in table.to_pylist()] == [row["prompt"] for row in rows]


def test_columns_that_parquet_cannot_hold_are_left_out_and_named(
    score: Score, tmp_path: Path, tiny_folder: Path
) -> None:
    odd = {"key \ud800": 1, "half": "\ud800", "huge": 10**30, "none": {"a": {}}, "kept": 1}
    done = score([{"prompt": "Why?", "response": "Gas."} | odd], tiny_folder, tiny_folder)
    assert done.code == 0, done.error
    assert r"left out columns that Parquet cannot hold: key \ud800, half, huge, none" in done.out
    (row,) = pq.read_table(tmp_path / "out" / "scored.parquet").to_pylist()
    assert (row["kept"], row["reward"]) == (1, 0.0)


def test_a_folder_as_the_file_to_write_is_refused_before_anything_is_read(
    score: Score, tmp_path: Path, tiny_folder: Path
) -> None:
    (tmp_path / "out" / "scored.parquet").mkdir(parents=True)
    done = score(ROWS, tmp_path / "no-model", tiny_folder)
    assert done.code == 2
    assert "is a directory" in done.error


@pytest.mark.parametrize(
    ("out", "found"),
    [
        ("/proc/scored.parquet", "/proc/scored.parquet: cannot be written ("),
        ("file/scored.parquet", "file/scored.parquet: cannot be written ("),
        ("a" * 250, "cannot be written (File name too long)"),
        ("answers.jsonl", "answers.jsonl: is the file that the rows are read from"),
        ("pipe", "pipe: is no regular file"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_models_are_loaded(
    score: Score, tmp_path: Path, out: str, found: str
) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    done = score(ROWS, tmp_path / "no-model", tmp_path / "no-model", out=out)
    assert done.code == 1
    assert found in done.error
    assert done.error.count("\n") == 1
    assert (tmp_path / "answers.jsonl").read_text().count("\n") == len(ROWS)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["answers.jsonl", "file", "pipe"]


def test_swapping_the_models_turns_the_reward_round_and_one_model_has_none(
    score: Score, tmp_path: Path, tiny_folder: Path, other_folder: Path
) -> None:
    rewards = []
    for pair in ((tiny_folder, other_folder), (other_folder, tiny_folder), (tiny_folder,) * 2):
        assert score(ROWS, *pair).code == 0
        table = pq.read_table(tmp_path / "out" / "scored.parquet")
        rewards.append(table["reward"].to_pylist())
    assert rewards[1] == pytest.approx([-r for r in rewards[0]])
    assert all(abs(r) > 0.1 for r in rewards[0])
    assert rewards[2] == [0.0] * 5


def test_faults_name_file_row_and_field_and_keep_what_was_there(
    score: Score, tmp_path: Path, tiny_folder: Path, other_folder: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scored.parquet").write_bytes(b"mine")
    long = {"prompt": "Why?", "response": "gas " * 600}
    for bad, field, found in (
        ({"prompt": "Why?"}, "response", "missing"),
        ({"response": "Yes."}, "prompt", "missing"),
        ({"prompt": "Why?", "response": 3}, "response", "found 3"),
        ({"prompt": "Why?", "response": "a", "finish_reason": "eos"}, "finish_reason", "'eos'"),
        (long, "response", "at most 512"),
    ):
        done = score([*ROWS, bad], tiny_folder, other_folder)
        assert done.code == 1
        assert done.error.count("\n") == 1
        assert f"answers.jsonl, row 6, field '{field}'" in done.error
        assert found in done.error
    assert (tmp_path / "out" / "scored.parquet").read_bytes() == b"mine"


def test_a_folder_that_is_not_there_is_named(tiny_folder: Path, score: Score) -> None:
    for models in ((Path("nope"), tiny_folder), (tiny_folder, Path("nope"))):
        done = score(ROWS, *models)
        assert done.code == 1
        assert "error: nope: found no such folder; wanted one that holds a model" in done.error


def test_models_of_two_vocabularies_are_refused(
    score: Score, tmp_path: Path, tiny_folder: Path, other_folder: Path
) -> None:
    theirs = write_tiny_model(tmp_path / "theirs", seed=3)
    file = theirs / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["s"], vocabulary["e"] = vocabulary["e"], vocabulary["s"]
    file.write_text(json.dumps(tokenizer))
    done = score(ROWS, tiny_folder, theirs)
    assert done.code == 1
    assert "wanted two models of one vocabulary" in done.error


def test_a_reference_without_a_chat_template_reads_the_policys_tokens(
    score: Score, tmp_path: Path, tiny_folder: Path, other_folder: Path
) -> None:
    pretrained = write_tiny_model(tmp_path / "pretrained", seed=1)
    (pretrained / "chat_template.jinja").unlink()
    assert score(ROWS, tiny_folder, other_folder).code == 0
    known = pq.read_table(tmp_path / "out" / "scored.parquet")["reward"].to_pylist()
    done = score(ROWS, tiny_folder, pretrained)
    assert done.code == 0, done.error
    assert pq.read_table(tmp_path / "out" / "scored.parquet")["reward"].to_pylist() == known
