"""Steps, batches and learning rates of a training run, by hand."""

import pytest

from spa.params import Train
from spa.schedule import Plan, make_batches, make_plan, rate_factor


def test_steps_are_the_floor_of_pairs_over_batch() -> None:
    """The paper's sizes at batch 32: 2,000 pairs in 3 epochs, then 8K, 20K and 30K pairs."""
    found = [
        make_plan(pairs, Train(epochs=epochs)).steps
        for pairs, epochs in [(2000, 3), (8000, 1), (20000, 1), (30000, 1)]
    ]
    assert found == [187, 250, 625, 937]


def test_the_learning_rate_rises_then_falls_and_no_step_is_idle() -> None:
    factors = [rate_factor(step, 10, 0.2) for step in range(10)]
    assert factors[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert factors[2:] == sorted(factors[2:], reverse=True)
    assert min(factors) > 0
    assert rate_factor(0, 1, 0.1) > 0


def test_every_epoch_sees_every_pair_once() -> None:
    batches = make_batches(12, Train(batch_size=4, epochs=2), seed=3, round=2)
    order = [i for batch in batches for i in batch]
    assert sorted(order[:12]) == sorted(order[12:]) == list(range(12))
    assert order[:12] != order[12:]


def test_the_detector_fills_its_window_before_a_share_of_the_steps_is_over() -> None:
    """Ten steps of four pairs: a quarter is over after 2.5, so that step 3 may soften first.
    A window of eight pairs takes two steps before it, one of nine three."""
    for window, look in ((8, 1), (9, 0)):
        settings = Train(batch_size=4, epochs=1, warmup_gate=0.25, noise_window=window)
        assert make_plan(40, settings) == Plan(steps=10, gate=3, look=look)


def test_every_seed_and_round_has_an_order_of_its_own() -> None:
    settings = Train(batch_size=12, epochs=1)
    orders = {
        tuple(make_batches(12, settings, seed=seed, round=round)[0])
        for seed, round in ((3, 2), (4, 2), (3, 1))
    }
    assert len(orders) == 3
