"""What a judge that is paid for costs."""

from pathlib import Path

import pytest

from spa.annotators import AlpacaEval
from spa.compute import Compute
from spa.layout import Layout
from spa.planning import plan_pipeline
from spa.planning.price import call_cost
from spa.planning.work import Tokens
from tests.spa.planning.changed_params import changed

CPU = Compute(device="cpu")


def test_the_judge_costs_what_its_calls_say(pipeline: Layout) -> None:
    settings = {"annotator": "alpaca_eval", "alpaca_eval": {"usd_per_million_tokens": 2.0}}
    params = changed(pipeline, evaluate=settings)
    plans = plan_pipeline(pipeline, params, CPU, probe=False)
    found = {stage.name: stage for stage in plans.stages}
    assert found["evaluate@1"].work.calls == 12
    assert found["baseline"].work.calls == 4  # against the null answer; itself is a tie
    work = found["evaluate@1"].work
    assert work.called.most > 12 * 2 * 12
    assert found["evaluate@1"].usd == pytest.approx(work.called.expected * 2e-6)


def test_a_call_holds_its_prompt_and_both_answers(tmp_path: Path) -> None:
    settings = AlpacaEval(usd_per_million_tokens=1.0)
    short = call_cost(settings, tmp_path, 10, Tokens(5, 7))
    long = call_cost(settings, tmp_path, 110, Tokens(50, 70))
    assert long.tokens.expected - short.tokens.expected == 100 + 2 * 45
    assert long.tokens.most - short.tokens.most == 100 + 2 * 63
    assert short.tokens.expected > 100  # alpaca-eval's own words
    assert short.usd(3) == pytest.approx(3 * short.tokens.expected * 1e-6)
