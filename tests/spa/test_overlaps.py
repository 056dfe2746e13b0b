"""Prompts of a round that another pool has too, though not to the letter."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from spa.overlaps import MetAgain, met_again
from spa.param_files import check_params
from spa.params import Params
from spa.records import Message, Pair, Prompt, pair_hash, prompt_hash
from spa.splits import Pools

ROOT = Path(__file__).parents[2]


def _params(**checks: Any) -> Params:
    """The starter's; `checks` are round 2's alone."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["rounds"]["2"]["filter"] = {"checks": checks}
    params, faults = check_params(raw)
    assert params is not None, faults
    return params


def _prompt(text: str) -> Prompt:
    turns: list[Message] = [{"role": "user", "content": text}]
    return Prompt(prompt_id=prompt_hash(turns), prompt=turns)


def _pair(text: str) -> Pair:
    asked = _prompt(text)
    return Pair(
        pair_id=pair_hash(asked.prompt, "a", "b"),
        chosen="a",
        rejected="b",
        chosen_finish_reason="stop",
        rejected_finish_reason="stop",
        **asked.row(),
    )


POOLS = Pools(
    seed=[_pair("Why 1?")],
    gold=[_pair("Why 2?")],
    test=[_prompt("Why 3?")],
    development=[_prompt("Why 4?")],
    rounds={
        "1": [_prompt("Why 5?"), _prompt("WHY 3?"), _prompt("why  1"), _prompt("Why 6?")],
        "2": [_prompt("Why 7?"), _prompt("Why 6!"), _prompt("Why 4")],
    },
    hidden_gold=[_pair("why 5")],
)


def test_every_pool_that_has_a_prompt_of_a_round_too_is_told() -> None:
    found = list(met_again(POOLS, _params(overlap={"action": "drop"})))
    assert found == [
        MetAgain("1", "overlap", "stop", ("test", "the seed"), 2, "WHY 3?"),
        MetAgain("2", "overlap", "drop", ("development",), 1, "Why 4"),
        MetAgain("2", "reused_prompt", "drop", ("round 1",), 1, "Why 6!"),
    ]
    assert str(found[0]) == (
        "2 prompts of round 1 are those of test, the seed but for case, blanks, Unicode form and "
        "final punctuation, first 'WHY 3?'; wanted none, as filter@1 would stop "
        "(filter.checks.overlap); take one of each out of the data, or let the check drop"
    )
    assert str(found[2]).endswith("first 'Why 6!'; filter@2 drops their pairs")


@pytest.mark.parametrize("action", ["warn", "off"])
def test_a_check_that_does_nothing_is_told_with_its_action(action: str) -> None:
    rounds = _params(overlap={"action": action}, reused_prompt={"action": action})
    assert [again.action for again in met_again(POOLS, rounds)] == ["stop", action, action]


def test_a_held_out_prompt_to_the_letter_or_among_the_held_out_is_none_of_these() -> None:
    apart = Pools([], [_pair("Why 1")], [_prompt("why 1")], [_prompt("Why 1?")], {"1": []}, [])
    assert list(met_again(apart, _params())) == []


@pytest.mark.parametrize(
    ("number", "pool"), [(1, "the seed"), (2, "gold"), (3, "test"), (4, "development")]
)
def test_the_seed_and_every_held_out_pool_is_looked_at(number: int, pool: str) -> None:
    pools = replace(POOLS, rounds={"1": [_prompt(f"why {number}")]})
    [again] = met_again(pools, _params())
    assert (again.check, again.pools) == ("overlap", (pool,))


def test_prompts_of_all_earlier_rounds_are_remembered() -> None:
    params = _params()
    lines = {**params.rounds, "3": params.rounds["1"]}
    asked = {"1": [_prompt("Why 5?")], "2": [_prompt("Why 7?")], "3": [_prompt("why 5")]}
    found = met_again(replace(POOLS, rounds=asked), params.model_copy(update={"rounds": lines}))
    assert [(again.round, again.pools) for again in found] == [("3", ("round 1",))]
