"""Stage `train`: what it learns from and against is the model that the judge read."""

import shutil
from pathlib import Path

import pytest

from spa.chunks import Chunks
from spa.compute import Compute
from spa.errors import TrainingError
from spa.generation.responses import sample_responses
from spa.generation.transformers_engine import TransformersEngine
from spa.layout import Layout
from spa.models import Policy
from spa.param_files import load_params
from spa.records import Prompt, Response, Score
from spa.scoring import response_logps
from spa.tables import write_table
from stages._context import Context
from stages.train import check_reference
from tests.pipeline.in_process import call
from tests.pipeline.tiny_params import write_pipeline


@pytest.fixture
def here(tmp_path: Path, tiny_folder: Path, tiny: Policy) -> Context:
    """A pipeline whose round 1 has answers of a policy, and its log-probabilities as scores."""
    layout = Layout(write_pipeline(tmp_path, tiny_folder))
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
