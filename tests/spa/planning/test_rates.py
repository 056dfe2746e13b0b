"""How long work takes: by hand, by a data sheet, and by a probe of the real code."""

from pathlib import Path
from typing import Any

import pytest
import torch

from spa.compute import Compute
from spa.errors import ParamsError
from spa.layout import Layout
from spa.models import Policy
from spa.param_files import load_params
from spa.planning import find_card, probe
from spa.planning.cards import assumed_rates
from spa.planning.probe import measure_rates
from spa.planning.rates import Rates
from spa.planning.size import known_size
from spa.planning.work import Tokens, Work

CPU = Compute(device="cpu")


def test_seconds_are_rates_times_work() -> None:
    rates = Rates(round=0.5, row=0.01, batch=8, read=0.001, trained=0.01, start=3.0)
    work = Work(
        answers=12,
        sampled=Tokens(60, 120),
        read=Tokens(1000, 2000),
        trained=Tokens(100, 200),
    )
    # two batches until their longest answer of 10 tokens ends: 20 x 0.5, and 60 x 0.01 for rows
    assert rates.seconds(work) == pytest.approx(3 + 10 + 0.6 + 1 + 1)
    assert rates.seconds(work, most=True) == pytest.approx(3 + 10 + 1.2 + 2 + 2)


def test_hours_of_a_card_are_operations_by_its_data_sheet() -> None:
    """Sampling: batches x longest x (layers + weights' reading); 2 operations a weight to read."""
    size, card = known_size("mistralai/Mistral-7B-v0.1@"), find_card("H100")
    assert size is not None
    weights = 7_241_732_096
    one = assumed_rates(card, size, batch=64, gpus=1, trainers=1)
    eight = assumed_rates(card, size, batch=64, gpus=8, trainers=8)
    sampled = Work(answers=128, sampled=Tokens(100, 128 * 300))
    expected = 2 * 300 * (32 * 0.9e-3 + 2 * weights / 3.35e12) + 100 * 2 * weights / 395.6e12
    assert one.seconds(sampled) - 60 == pytest.approx(expected)
    batches = 2 * 300 * (32 * 0.9e-3 + 2 * weights / 3.35e12)  # on eight cards one, of 16 answers
    shared = batches / 2 + 100 * 2 * weights / 395.6e12 / 8
    assert eight.seconds(sampled) - 60 == pytest.approx(shared)
    judged = Work(read=Tokens(1000, 1000), light=Tokens(400, 400))
    read = (600 / 30.15e12 + 400 / 395.6e12) * 2 * weights
    assert one.seconds(judged) - 60 == pytest.approx(read)
    alone = (600 / 30.15e12 / 8 + 400 / 395.6e12) * 2 * weights  # a model that annotates
    assert eight.seconds(judged) - 60 == pytest.approx(alone)
    trained = Work(steps=2, trained=Tokens(500, 500), read=Tokens(100, 100), light=Tokens(100, 100))
    assert one.seconds(trained) - 60 == pytest.approx((6 * 500 + 2 * 100) * weights / 395.6e12)
    assert eight.seconds(trained) - 60 == pytest.approx((one.seconds(trained) - 60) / 8)
    nodes = assumed_rates(card, size, batch=64, gpus=8, trainers=16)  # on two machines
    assert nodes.seconds(trained) - 60 == pytest.approx((one.seconds(trained) - 60) / 16)
    assert nodes.seconds(sampled) == eight.seconds(sampled)
    with pytest.raises(ParamsError, match="found 'h1000'; wanted one of a100, h100, h200"):
        find_card("h1000")


@pytest.mark.slow
def test_the_probe_measures_positive_times(tiny_folder: Path, pipeline: Layout) -> None:
    train = load_params(pipeline.params).train
    rates = measure_rates(tiny_folder, CPU, train, prompt=12, answer=6)
    assert min(rates.read, rates.trained, rates.start) > 0
    assert rates.round + rates.row > 0
    assert rates.trained > rates.read  # backward costs more than forward alone
    work = Work(answers=4, sampled=Tokens(40, 40), read=Tokens(100, 100))
    assert rates.seconds(work) > rates.seconds(Work()) == rates.start
    assert rates.light == rates.read


@pytest.mark.slow
def test_answers_are_read_in_float32_whatever_samples_them(
    tiny_folder: Path, pipeline: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    precisions: list[torch.dtype] = []

    def read(policy: Policy, *_: Any) -> float:
        precisions.append(policy.model.dtype)
        return float(len(precisions))

    monkeypatch.setattr(probe, "_read", read)
    monkeypatch.setattr(probe, "_trained", lambda *_: 1.0)
    half = Compute(device="cpu", dtype="bfloat16")
    train = load_params(pipeline.params).train
    rates = measure_rates(tiny_folder, half, train, prompt=12, answer=6)
    assert (rates.light, rates.read) == (1.0, 2.0)
    assert precisions == [torch.bfloat16, torch.float32]
