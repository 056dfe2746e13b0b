"""Lineage of a pair: every step from its raw row, and a reward computed anew from the JSON."""

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from recorded_pipeline import write_recorded

from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.errors import InputError
from spa.files import hash_file, write_json
from spa.generation.responses import sample_responses
from spa.generation.transformers_engine import TransformersEngine
from spa.judging import make_pairs, make_scores
from spa.layout import Layout
from spa.lineage import pair_lineage, pick
from spa.logprobs import score
from spa.manifest import policy_hash, write_manifest
from spa.models import load_policy, model_hash
from spa.param_files import load_params
from spa.records import (
    FlaggedSeedPair,
    JudgedPair,
    Message,
    Pair,
    Prompt,
    Response,
    Score,
)
from spa.scoring import response_logps
from spa.splits import flip_labels
from spa.tables import read_table, write_table
from tests.pipeline.tiny_params import write_pipeline
from tests.tiny import write_tiny_model

CPU = Compute(device="cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return write_recorded(tmp_path_factory.mktemp("lineage") / "run", prompts=6)


def test_a_reward_can_be_computed_anew_from_the_json_alone(
    tmp_path: Path, tiny_folder: Path
) -> None:
    layout = Layout(write_pipeline(tmp_path, tiny_folder, code=False))
    for number, name in enumerate(("base", "0")):
        write_tiny_model(layout.policy(name), seed=number)
    params = load_params(layout.params)
    messages: list[Message] = [{"role": "user", "content": "What does bread do to dough?"}]
    own = params.for_round(1)
    policy = load_policy(layout.policy(0), CPU)
    engine = TransformersEngine(policy, temperature=1.0, max_new_tokens=12, batch=4)
    prompts = [Prompt(prompt_id="q", prompt=messages)]
    answers = sample_responses(
        engine, policy.encoder, prompts, samples=4, seed=1, names=("generate", 1),
        model=model_hash(layout.policy(0)),
    )  # fmt: skip
    logps = [math.fsum(answer.token_logprobs) for answer in answers]
    base = response_logps(load_policy(layout.policy("base"), CPU), answers, token_budget=999)
    rewards = [a - b for a, b in zip(logps, base, strict=True)]
    scores = make_scores(answers, logps, base, rewards)
    pairs = make_pairs(answers, scores, own.judge, beta=own.train.beta, seed=1, round=1)
    write_table(layout.pool(1), prompts, Prompt)
    write_table(layout.responses(1), answers, Response)
    write_table(layout.scores(1), scores, Score)
    write_table(layout.pairs(1), pairs, JudgedPair)
    for stage in ("split", "generate@1", "judge@1"):
        write_manifest(layout, stage)

    told = json.loads(json.dumps(pair_lineage(layout, params, pairs[0].pair_id)))
    found = {side: _reward(layout, told, told[side]) for side in ("chosen", "rejected")}
    for side, reward in found.items():
        assert told[side]["reward"] == pytest.approx(reward, abs=1e-4)
    assert told["margin"] == pytest.approx(found["chosen"] - found["rejected"], abs=1e-4)
    beta = told["judge"]["beta"]
    assert told["probability"] == pytest.approx(1 / (1 + math.exp(-beta * told["margin"])))


def _reward(layout: Layout, told: dict[str, Any], answer: dict[str, Any]) -> float:
    """By what the lineage names and nothing else."""
    sums = []
    for name in ("policy", "reference_policy"):
        model = told["judge"][name]
        folder = layout.root / model["folder"]
        assert model_hash(folder) == model["model"]
        policy = load_policy(folder, CPU)
        prompt = policy.encoder.prompt(told["prompt"]["messages"])
        rows = score(policy.model, [TokenSequence(prompt, answer["token_ids"])], token_budget=999)
        sums.append(math.fsum(rows[0]))
    penalty: float = told["judge"]["length_penalty"] * len(answer["text"])
    return sums[0] - sums[1] - penalty


def test_a_self_labelled_pair_is_traced_from_raw_row_to_evaluation(run: Layout) -> None:
    pair = read_table(run.kept(2), JudgedPair)[0]
    told = pair_lineage(run, load_params(run.params), pair.pair_id[:10])
    assert told["pair_id"] == pair.pair_id
    assert told["origin"] == "self-labelled"
    source = told["prompt"]["source"]
    assert [row["file"] for row in source] == ["data/raw/prompts.jsonl"]
    assert source[0]["sha256"] == hash_file(run.raw / "prompts.jsonl")
    line = (run.raw / "prompts.jsonl").read_text().splitlines()[source[0]["row"] - 1]
    assert json.loads(line)["prompt"] == pair.prompt[0]["content"]
    sampler = {"round": "1", "folder": "data/round-1/policy", "model": model_hash(run.policy(1))}
    assert told["generation"]["sampler"] == told["judge"]["policy"] == sampler
    assert told["chosen"]["model"] == sampler["model"]
    assert told["judge"]["base"]["folder"] == "data/base/policy"
    assert told["filter"] == {"kept": True, "action": None, "reasons": []}
    assert [step["flagged"] for step in told["training"]] == [False]
    assert told["trained"]["model"] == model_hash(run.policy(2))
    assert told["training_reference"] == sampler
    assert told["evaluation"]["win_rate"] == 0.5


def test_a_dropped_pair_trained_nothing(run: Layout) -> None:
    dropped = read_table(run.pairs(1), JudgedPair)[0]
    told = pair_lineage(run, load_params(run.params), dropped.pair_id)
    assert told["filter"] == {"kept": False, "action": "drop", "reasons": ["repetition:chosen"]}
    assert told["training"] == []
    assert told["trained"] is None


def test_a_seed_pair_leads_to_its_labelled_row(run: Layout) -> None:
    pair = read_table(run.pool("seed"), Pair)[3]
    told = pair_lineage(run, load_params(run.params), pair.pair_id)
    assert told["origin"] == "seed"
    line = (
        (run.raw / "pairs.jsonl").read_text().splitlines()[told["prompt"]["source"][0]["row"] - 1]
    )
    assert json.loads(line)["chosen"] == pair.chosen
    assert told["trained"]["round"] == "0"
    assert told["training_reference"]["round"] == "base"
    assert told["filter"] == {"kept": True, "action": None, "reasons": []}


def test_a_seed_pair_that_was_dropped_says_why(run: Layout) -> None:
    pair = read_table(run.pool("seed"), Pair)[2]
    flag = FlaggedSeedPair(**pair.row(), reasons=["empty:chosen"], action="drop")
    write_table(run.flagged(0), [flag], FlaggedSeedPair)
    told = pair_lineage(run, load_params(run.params), pair.pair_id)
    write_table(run.flagged(0), [], FlaggedSeedPair)
    assert told["filter"] == {"kept": False, "action": "drop", "reasons": ["empty:chosen"]}


def test_an_automatic_length_penalty_is_the_number_that_the_round_found(
    run: Layout, tmp_path: Path
) -> None:
    """The recorded judge takes 0.012 nats a character; the reward can be computed from it."""
    own = Layout(Path(shutil.copytree(run.root, tmp_path / "run")))
    params = yaml.safe_load(own.params.read_text())
    params["judge"]["length_penalty"] = "auto"
    own.params.write_text(yaml.safe_dump(params))
    answers = {r.response_id: r for r in read_table(own.responses(1), Response)}
    scores = [
        replace(s, reward=s.reward - 0.012 * len(answers[s.response_id].text))
        for s in read_table(own.scores(1), Score)
    ]
    write_table(own.scores(1), scores, Score, note={"length_penalty": 0.012})
    write_manifest(own, "judge@1")
    told = pair_lineage(
        own, load_params(own.params), read_table(own.pairs(1), JudgedPair)[0].pair_id
    )
    assert told["judge"]["length_penalty"] == 0.012
    side = told["chosen"]
    reward = side["policy_logp"] - side["base_logp"] - 0.012 * len(side["text"])
    assert side["reward"] == pytest.approx(reward)


def test_an_id_must_be_known_and_one() -> None:
    ids = ["abc1", "abc2", "abd"]
    assert pick("abc1", ids, "pair") == "abc1"
    assert pick("abd", ids, "pair") == "abd"
    with pytest.raises(InputError, match=r"2 pairs that begin with 'abc' \(abc1, abc2 ...\)"):
        pick("abc", ids, "pair")
    for unknown in ("x", ""):
        with pytest.raises(InputError, match=f"found no pair '{unknown}'"):
            pick(unknown, ids, "pair")


def test_the_command_shows_a_tree_or_one_object(run: Layout) -> None:
    own = read_table(run.kept(1), JudgedPair)[0].pair_id
    spa = [sys.executable, "-c", "from stages._app import run; run()", "lineage"]
    shown = subprocess.run([*spa, own], cwd=run.root, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(own)
    assert hash_file(run.raw / "prompts.jsonl") in shown.stdout  # no line is cut
    assert "\x1b" not in shown.stdout
    told = subprocess.run([*spa, own, "--json"], cwd=run.root, capture_output=True, text=True)
    assert json.loads(told.stdout)["pair_id"] == own
    lost = subprocess.run([*spa, "nothing"], cwd=run.root, capture_output=True, text=True)
    assert (lost.returncode, lost.stderr.count("\n")) == (1, 1)


def test_a_label_that_was_turned_round_is_told(run: Layout, tmp_path: Path) -> None:
    own = Layout(Path(shutil.copytree(run.root, tmp_path / "run")))
    params = load_params(own.params)
    [turned] = flip_labels(read_table(own.pairs(2), JudgedPair)[:1], 1.0, seed=1, name="judge-2")
    write_table(own.pairs(2), [turned, *read_table(own.pairs(2), JudgedPair)[1:]], JudgedPair)
    seed = read_table(own.pool("seed"), Pair)
    write_json(own.flipped_seed, [seed[0].pair_id])
    straight = read_table(own.pairs(2), JudgedPair)[1]
    for pair, told in ((turned, True), (straight, False), (seed[0], True), (seed[1], False)):
        assert pair_lineage(own, params, pair.pair_id)["label_flipped"] is told


@pytest.mark.parametrize(("round", "reference"), [("1", "base"), ("2", "0")])
def test_the_reference_before_a_judge_is_the_policy_that_it_was_trained_from(
    run: Layout, tmp_path: Path, round: str, reference: str
) -> None:
    own = Layout(Path(shutil.copytree(run.root, tmp_path / "run")))
    params = yaml.safe_load(own.params.read_text())
    params["judge"]["reference"] = "previous"
    own.params.write_text(yaml.safe_dump(params))
    write_manifest(own, f"judge@{round}")
    pair = read_table(own.pairs(round), JudgedPair)[0]
    told = pair_lineage(own, load_params(own.params), pair.pair_id)["judge"]["reference_policy"]
    assert (told["round"], told["model"]) == (reference, policy_hash(own.policy(reference)))


def test_a_pair_is_traced_to_its_own_rows_of_pool_and_source(run: Layout, tmp_path: Path) -> None:
    """Another labelled row has the same prompt."""
    own = Layout(Path(shutil.copytree(run.root, tmp_path / "run")))
    pair = read_table(own.pool("seed"), Pair)[3]
    other = {"prompt": pair.prompt[0]["content"], "chosen": "Else.", "rejected": "So."}
    with (own.raw / "pairs.jsonl").open("a") as file:
        file.write(json.dumps(other) + "\n")
    told = pair_lineage(own, load_params(own.params), pair.pair_id)["prompt"]
    assert told["pool"] == {"file": "data/pools/seed.parquet", "row": 4}
    [source] = told["source"]
    line = (own.raw / "pairs.jsonl").read_text().splitlines()[source["row"] - 1]
    assert json.loads(line)["chosen"] == pair.chosen
