"""The implicit reward on held-out labels: hand-worked figures, and what the pairs are read as."""

import pytest

from spa.heldout import GoldReading, heldout_figures, pair_sequences
from spa.models import Policy
from spa.records import Message, Pair

BASE = [(-10.0, -10.0), (-5.0, -5.0), (-5.0, -5.0)]


def _reading(*logps: tuple[float, float]) -> GoldReading:
    ids = [f"{number:x}" for number in range(len(logps))]
    return GoldReading(ids, list(logps), [(30, 10)] * len(logps))


def test_heldout_accuracy_is_the_implicit_rewards() -> None:
    """Rewards of chosen and rejected: 2 against 1 (right), 0 against 0 (half), 1 against 3."""
    found = heldout_figures(_reading((-8.0, -9.0), (-5.0, -5.0), (-4.0, -2.0)), BASE, seed=1)
    assert found["heldout_accuracy"] == pytest.approx(0.5)
    assert found["heldout_n"] == 3
    assert found["heldout_accuracy_low"] == 0.0
    assert found["heldout_accuracy_high"] == 1.0


def test_without_gold_pairs_there_is_no_figure() -> None:
    found = heldout_figures(GoldReading([], [], []), [], seed=1)
    assert found["heldout_n"] == 0
    assert {value for key, value in found.items() if key != "heldout_n"} == {None}


def test_the_curves_are_of_what_the_reward_prefers() -> None:
    """Chosen answers are all 20 tokens longer. Three are preferred (margins 3, 2, 1), the fourth
    is not (0.5): its preferred answer is the shorter one. The surest half is right, the least sure
    quarter wrong."""
    policy = _reading((-2.0, -5.0), (-3.0, -5.0), (-4.0, -5.0), (-5.0, -4.5))
    found = heldout_figures(policy, [(-5.0, -5.0)] * 4, seed=1)["heldout"]
    assert [bucket["accuracy"] for bucket in found["by_margin"]] == [0, 1, 1, 1]
    assert [(bucket["low"], bucket["accuracy"]) for bucket in found["by_length"]] == [
        (-20, 0),
        (20, 1),
    ]
    assert found["coverage"][4]["accuracy"] == 1
    assert found["coverage"][-1]["accuracy"] == 0.75
    assert found["auroc"] > 0.5


def test_a_pair_is_its_chosen_then_its_rejected_answer(tiny: Policy) -> None:
    turns: list[Message] = [{"role": "user", "content": "Why?"}]
    pair = Pair(
        pair_id="a",
        prompt_id="b",
        prompt=turns,
        chosen="Yes",
        rejected="Yeast makes gas and the dough holds it",
        chosen_finish_reason="stop",
        rejected_finish_reason="length",
    )
    chosen, rejected = pair_sequences(tiny.encoder, [pair])
    assert chosen.prompt == rejected.prompt == tiny.encoder.prompt(turns)
    assert chosen.answer == tiny.encoder.answer("Yes", "stop")
    assert rejected.answer == tiny.encoder.answer(pair.rejected, "length")


def test_what_the_base_prefers_by_itself_is_taken_off() -> None:
    """The chosen answer is the likelier one, and has gained 1 nat where the other gained 2."""
    found = heldout_figures(_reading((-5.0, -6.0)), [(-6.0, -8.0)], seed=1)
    assert found["heldout_accuracy"] == 0.0
