"""Stage `train`: what it learns from and against is the model that the judge read."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from spa.checkpoints import Progress
from spa.chunks import Chunks
from spa.compute import Compute
from spa.errors import TrainingError
from spa.generation.responses import sample_responses
from spa.generation.transformers_engine import TransformersEngine
from spa.judging import make_pairs
from spa.layout import Layout
from spa.models import Policy
from spa.param_files import load_params
from spa.records import FlaggedSeedPair, JudgedPair, Pair, Prompt, Response, Score, TrainingRow
from spa.scoring import response_logps
from spa.tables import read_table, write_table
from stages._context import Context
from stages.train import check_reference, checkpoints, token_pairs
from tests.pipeline.in_process import call
from tests.pipeline.tiny_params import write_pipeline


@pytest.fixture
def here(tmp_path: Path, tiny_folder: Path, tiny: Policy) -> Context:
    """A pipeline whose round 1 has answers of a policy, and its log-probabilities as scores."""
    layout = Layout(write_pipeline(tmp_path, tiny_folder, code=False))
    shutil.copytree(tiny_folder, layout.policy(0))
    prompts = [
        Prompt(prompt_id=f"q{n}", prompt=[{"role": "user", "content": f"Why does bread {n} rise?"}])
        for n in range(20)
    ]
    engine = TransformersEngine(tiny, temperature=1.0, max_new_tokens=8, batch=40)
    responses = sample_responses(
        engine, tiny.encoder, prompts, samples=2, seed=1, names=("test",), model="m"
    )
    logps = response_logps(tiny, responses, token_budget=1024)
    write_table(layout.responses(1), responses, Response)
    scores = [_score(one, logp) for one, logp in zip(responses, logps, strict=True)]
    write_table(layout.scores(1), scores, Score)
    params = load_params(layout.params).for_round(1)
    return Context(layout, params, Compute(device="cpu"), Chunks(layout.cache), beta=0.1)


def _score(response: Response, logp: float) -> Score:
    return Score(
        response_id=response.response_id,
        prompt_id=response.prompt_id,
        policy_logp=logp,
        base_logp=0.0,
        tokens=len(response.token_ids),
        reward=logp,
    )


def test_the_policy_that_was_judged_may_be_trained(here: Context, tiny: Policy) -> None:
    check_reference(here, 1, tiny)


def test_another_model_than_the_judged_one_is_refused(here: Context, other: Policy) -> None:
    named = r"train@1: data/round-0/policy: found log-probabilities up to \d.* `dvc repro judge@1`"
    with pytest.raises(TrainingError, match=named):
        check_reference(here, 1, other)


def test_nothing_is_trained_from_another_model(
    here: Context, other_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(here.layout.policy(0))
    shutil.copytree(other_folder, here.layout.policy(0))
    assert call(here.layout, "spa train --round 1") == 1
    assert capsys.readouterr().err.startswith("error: train@1: data/round-0/policy: found")
    assert not here.layout.policy(1).exists()


def _judged(here: Context) -> list[JudgedPair]:
    """A pair of each prompt; the last four are not kept."""
    layout = here.layout
    responses = read_table(layout.responses(1), Response)
    scores = read_table(layout.scores(1), Score)
    pairs = make_pairs(responses, scores, here.params.judge, beta=0.1, seed=1, round=1)
    write_table(layout.pairs(1), pairs, JudgedPair)
    write_table(layout.kept(1), pairs[:-4], JudgedPair)
    return pairs


def test_a_round_learns_from_kept_pairs_and_all_that_is_read_is_the_policy_before(
    here: Context, other_folder: Path, database: Path
) -> None:
    """Steps too small to move anything: margins are 0, also those that the detector sees by the
    logits of policy and reference. Base and seed policy are another model than the one before."""
    layout, pairs = here.layout, _judged(here)
    layout.policy("rival").parent.mkdir()
    layout.policy(0).rename(layout.policy("rival"))
    for name in ("base", "0"):
        shutil.copytree(other_folder, layout.policy(name))
    shutil.copy(database, layout.root)
    params = yaml.safe_load(layout.params.read_text())
    params["train"]["learning_rate"] = 1e-30
    params["rounds"]["1"]["prev"] = "rival"
    layout.params.write_text(yaml.safe_dump(params, sort_keys=False))
    assert call(layout, "spa train --round 1") == 0
    log = read_table(layout.training_log(1), TrainingRow)
    assert {row.pair_id for row in log} == {pair.pair_id for pair in pairs[:-4]}
    assert len(log) == 16
    assert [row.margin for row in log] == pytest.approx([0.0] * 16, abs=1e-4)
    assert [row.extrapolated_margin for row in log] == pytest.approx([0.0] * 16, abs=1e-4)


def test_in_another_precision_than_the_judges_references_are_read_anew(
    here: Context, tiny: Policy
) -> None:
    _judged(here)
    half = replace(here, compute=Compute(device="cpu", dtype="bfloat16"))
    assert {pair.reference for pair in token_pairs(half, 1, tiny.encoder)} == {None}
    assert None not in {pair.reference for pair in token_pairs(here, 1, tiny.encoder)}


def test_a_cut_answer_of_the_seed_gets_no_end_of_turn(here: Context, tiny: Policy) -> None:
    pair = Pair(
        pair_id="a",
        prompt_id="b",
        prompt=[{"role": "user", "content": "Why?"}],
        chosen="Yes.",
        rejected="No and",
        chosen_finish_reason="stop",
        rejected_finish_reason="length",
    )
    write_table(here.layout.pool("seed"), [pair], Pair)
    write_table(here.layout.flagged(0), [], FlaggedSeedPair)
    [own] = token_pairs(here, 0, tiny.encoder)
    assert own.chosen.answer[-1] == tiny.encoder.end_of_turn
    assert tiny.encoder.end_of_turn not in own.rejected.answer


def test_a_checkpoint_is_of_one_policy_seed_section_and_set_of_pairs(
    here: Context, other_folder: Path, tiny: Policy
) -> None:
    _judged(here)
    train, source = here.params.train, here.layout.policy(0)
    pairs = token_pairs(here, 1, tiny.encoder)
    model = torch.nn.Linear(2, 2)
    made = checkpoints(here, 1, source, train, pairs)
    made.save(model, torch.optim.AdamW(model.parameters()), Progress(1, [], {}))
    assert made.newest() is not None
    reseeded = replace(here, params=here.params.model_copy(update={"seed": 2}))
    others: list[tuple[Any, ...]] = [
        (reseeded, 1, source, train, pairs),
        (here, 1, other_folder, train, pairs),
        (here, 1, source, train.model_copy(update={"beta": 0.7}), pairs),
        (here, 1, source, train, pairs[1:]),
    ]
    assert [checkpoints(*other).newest() for other in others] == [None] * 4
