"""Withdrawing a prompt: all that it reached, and what has to run again without it."""

import shutil
from pathlib import Path

import pytest
import yaml
from recorded_pipeline import write_recorded

from spa.layout import Layout
from spa.lineage import pair_lineage
from spa.param_files import load_params
from spa.records import FlaggedSeedPair, JudgedPair, Pair, Prompt, TrainingRow
from spa.tables import read_table, write_table
from spa.withdrawal import prompt_lineage


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return write_recorded(tmp_path_factory.mktemp("withdrawal") / "run", prompts=6)


def test_lineage_tells_what_the_stages_ran_with_and_not_todays_params(
    run: Layout, tmp_path: Path
) -> None:
    own = Layout(Path(shutil.copytree(run.root, tmp_path / "run")))
    pair = read_table(own.kept(2), JudgedPair)[0]
    before = pair_lineage(own, load_params(own.params), pair.pair_id)
    prompt = prompt_lineage(own, load_params(own.params), pair.prompt_id)
    params = yaml.safe_load(own.params.read_text())
    params["train"]["beta"] = 0.7
    params["judge"] |= {"length_penalty": 0.5, "reference": "none"}
    params["generate"]["temperature"] = 0.1
    params["rounds"]["2"]["prev"] = "0"
    params["split"] |= {"source": "data/raw/other.jsonl", "prompts": None}
    own.params.write_text(yaml.safe_dump(params))
    assert pair_lineage(own, load_params(own.params), pair.pair_id) == before
    after = prompt_lineage(own, load_params(own.params), pair.prompt_id)
    for key in ("source", "rounds", "evaluations"):
        assert after[key] == prompt[key]


def test_a_gold_prompt_reaches_every_evaluation_unless_its_pair_was_dropped(run: Layout) -> None:
    pair = read_table(run.pool("gold"), Pair)[0]
    told = prompt_lineage(run, load_params(run.params), pair.prompt_id)
    assert told["evaluations"] == ["base", "0", "1", "2", "rival"]
    flag = FlaggedSeedPair(**pair.row(), reasons=["identical"], action="drop")
    write_table(run.flagged("gold"), [flag], FlaggedSeedPair)
    told = prompt_lineage(run, load_params(run.params), pair.prompt_id)
    alone = pair_lineage(run, load_params(run.params), pair.pair_id)
    write_table(run.flagged("gold"), [], FlaggedSeedPair)
    assert told["evaluations"] == []
    assert alone["filter"] == {"kept": False, "action": "drop", "reasons": ["identical"]}


def test_a_dropped_seed_pair_is_none_that_its_prompt_kept(run: Layout) -> None:
    pair = read_table(run.pool("seed"), Pair)[1]
    flag = FlaggedSeedPair(**pair.row(), reasons=["identical"], action="drop")
    write_table(run.flagged(0), [flag], FlaggedSeedPair)
    told = prompt_lineage(run, load_params(run.params), pair.prompt_id)["rounds"]["0"]
    write_table(run.flagged(0), [], FlaggedSeedPair)
    assert (told["pairs"], told["kept"]) == ([pair.pair_id], [])


def test_a_prompt_of_round_1_reaches_its_policy_and_the_ones_built_on_it(run: Layout) -> None:
    trained = {row.pair_id for row in read_table(run.training_log(1), TrainingRow)}
    pair = next(kept for kept in read_table(run.kept(1), JudgedPair) if kept.pair_id in trained)
    told = prompt_lineage(run, load_params(run.params), pair.prompt_id)
    assert list(told["rounds"]) == ["1"]
    assert told["rounds"]["1"]["trained"] == [pair.pair_id]
    assert len(told["rounds"]["1"]["answers"]) == 2
    assert [model["round"] for model in told["policies_trained_on_it"]] == ["1"]
    assert [model["round"] for model in told["policies_built_on_those"]] == ["2"]
    assert told["evaluations"] == []
    # the prompt after it moves up from round 2's pool, and the seed stays as it is
    assert told["redo"]["pools"] == ["data/pools/1.parquet", "data/pools/2.parquet"]
    assert "train@1" in told["redo"]["stages"]
    assert "seed" not in told["redo"]["stages"]


def test_a_prompt_of_the_last_round_leaves_the_rounds_before_it_alone(run: Layout) -> None:
    prompt = read_table(run.pool(2), Prompt)[0]
    redo = prompt_lineage(run, load_params(run.params), prompt.prompt_id)["redo"]
    assert redo["pools"] == ["data/pools/2.parquet"]
    assert redo["stages"] == [
        "split", "generate@2", "judge@2", "filter@2", "train@2", "evaluate@2", "calibrate@2",
        "report",
    ]  # fmt: skip


def test_a_test_prompt_reaches_evaluations_and_no_policy(run: Layout) -> None:
    prompt = read_table(run.pool("test"), Prompt)[0]
    told = prompt_lineage(run, load_params(run.params), prompt.prompt_id)
    assert told["evaluations"] == ["base", "0", "1", "2", "rival"]
    assert told["policies_trained_on_it"] == told["policies_built_on_those"] == []
