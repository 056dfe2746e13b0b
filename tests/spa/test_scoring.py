"""Scoring passes: the sampler's numbers are trusted after a check, never on faith."""

from dataclasses import replace
from pathlib import Path

import pytest

from spa.compute import Compute
from spa.generation.responses import sample_responses
from spa.generation.transformers_engine import TransformersEngine
from spa.models import Policy, load_policy
from spa.records import Prompt, Response
from spa.scoring import response_logps, sampler_logps

CPU = Compute(device="cpu")


@pytest.fixture
def responses(tiny: Policy) -> list[Response]:
    prompts = [
        Prompt(prompt_id=f"q{n}", prompt=[{"role": "user", "content": f"Why does bread {n} rise?"}])
        for n in range(5)
    ]
    engine = TransformersEngine(tiny, temperature=1.0, max_new_tokens=12, batch=4)
    return sample_responses(
        engine, tiny.encoder, prompts, samples=2, seed=1, names=("test",), model="m"
    )


def test_the_samplers_numbers_are_what_a_scoring_pass_finds(
    tiny: Policy, tiny_folder: Path, responses: list[Response]
) -> None:
    again = response_logps(tiny, responses, token_budget=256)
    known, error = sampler_logps(tiny_folder, responses, CPU, tolerance=1e-3)
    assert error < 1e-3
    assert known == pytest.approx(again, abs=1e-3)
    assert known == [sum(r.token_logprobs) for r in responses]


def test_numbers_that_do_not_hold_are_computed_anew(
    tiny: Policy, tiny_folder: Path, responses: list[Response]
) -> None:
    wrong = [replace(r, token_logprobs=[t - 1 for t in r.token_logprobs]) for r in responses]
    found, error = sampler_logps(tiny_folder, wrong, CPU, tolerance=1e-3)
    assert error == pytest.approx(max(len(r.token_ids) for r in responses), rel=0.2)
    assert found == pytest.approx(response_logps(tiny, responses, token_budget=256), abs=1e-4)


def test_answers_sampled_in_bfloat16_are_judged_in_float32(
    tiny: Policy, tiny_folder: Path, responses: list[Response]
) -> None:
    half = Compute(device="cpu", dtype="bfloat16")
    engine = TransformersEngine(
        load_policy(tiny_folder, half), temperature=1.0, max_new_tokens=12, batch=4
    )
    prompts = [Prompt(prompt_id=r.prompt_id, prompt=r.prompt) for r in responses[::2]]
    sampled = sample_responses(
        engine, tiny.encoder, prompts, samples=2, seed=1, names=("test",), model="m"
    )
    found, error = sampler_logps(tiny_folder, sampled, half, tolerance=1e-4)
    assert error > 1e-4
    assert found == pytest.approx(response_logps(tiny, sampled, token_budget=256), abs=1e-4)


def test_another_model_reads_the_same_answers_differently(
    tiny: Policy, other: Policy, responses: list[Response]
) -> None:
    ours, theirs = (response_logps(p, responses, token_budget=256) for p in (tiny, other))
    assert all(abs(a - b) > 0.1 for a, b in zip(ours, theirs, strict=True))


def test_every_answer_has_its_own_seed_and_its_prompt(responses: list[Response]) -> None:
    assert [r.prompt_id for r in responses] == [f"q{n}" for n in range(5) for _ in range(2)]
    assert [r.sample for r in responses] == [0, 1] * 5
    assert len({r.seed for r in responses}) == len({r.response_id for r in responses}) == 10
