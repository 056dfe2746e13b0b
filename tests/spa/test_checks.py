"""The data contract: every check finds its fault, and nothing else."""

from typing import Any

import pytest

from spa.checks import enforce, run_checks
from spa.contract import Check, CheckName
from spa.errors import ContractError
from spa.records import JudgedPair

GOOD = "Yeast eats sugar in the flour and makes gas, which slowly lifts the dough."
OTHER = "Because there is air in it; bakers beat the batter until it is full of bubbles."
ALL: dict[CheckName, Check] = {
    name: Check(action="drop")
    for name in (
        "identical",
        "near_identical",
        "empty",
        "cut",
        "repetition",
        "prompt_echo",
        "template_leak",
        "tie",
        "overlap",
    )
}


def _pair(number: int = 0, **changes: Any) -> JudgedPair:
    fields: dict[str, Any] = {
        "pair_id": f"p{number}",
        "prompt_id": f"q{number}",
        "prompt": [{"role": "user", "content": f"Why does bread number {number} rise so high?"}],
        "chosen": GOOD,
        "rejected": OTHER,
        "chosen_finish_reason": "stop",
        "rejected_finish_reason": "stop",
        "chosen_id": "a",
        "rejected_id": "b",
        "margin": 2.0,
        "probability": 0.6,
        "method": "implicit",
    }
    return JudgedPair(**{**fields, **changes})


FAULTS = {
    "identical": {"rejected": GOOD.upper()},
    "near_identical": {"chosen": f"{GOOD} {GOOD} {OTHER}", "rejected": f"{GOOD} {GOOD} {OTHER} So"},
    "wordless:chosen": {"chosen": " ... "},
    "blank:chosen": {"chosen": " \n\u200b "},
    "empty:rejected": {"rejected": ""},
    "cut:chosen": {"chosen_finish_reason": "length"},
    "cut:rejected": {"rejected_finish_reason": "length"},
    "repetition:chosen": {"chosen": "It rises again. " * 8},
    "repetition:rejected": {"rejected": "It rises again. " * 8},
    "prompt_echo:chosen": {"chosen": "Why does bread number 7 rise so high?"},
    "prompt_echo:rejected": {"rejected": "Why does bread number 7 rise so high?"},
    "template_leak:chosen": {"chosen": GOOD + "<|im_end|>"},
    "template_leak:rejected": {"rejected": OTHER + "\nHuman: more"},
    "tie": {"margin": -0.0005},
}


@pytest.mark.parametrize("reason", FAULTS)
def test_each_fault_is_found_among_good_pairs_and_only_there(reason: str) -> None:
    pairs = [_pair(number) for number in range(6)] + [_pair(7, **FAULTS[reason])] + [_pair(8)]
    outcome = run_checks(pairs, ALL, held_out=set())
    assert [flag.pair.pair_id for flag in outcome.flagged] == ["p7"]
    assert reason in outcome.flagged[0].reasons
    assert outcome.counts[reason] == 1
    assert [pair.pair_id for pair in outcome.kept] == [f"p{n}" for n in (0, 1, 2, 3, 4, 5, 8)]


def test_a_held_out_prompt_is_an_overlap() -> None:
    outcome = run_checks(
        [_pair(1), _pair(2)], ALL, held_out={"why does bread number 2 rise so high?"}
    )
    assert [(f.pair.pair_id, f.reasons) for f in outcome.flagged] == [("p2", ["overlap"])]


def test_the_side_of_a_check_matters() -> None:
    checks: dict[CheckName, Check] = {"cut": Check(action="drop", side="chosen")}
    pairs = [_pair(1, chosen_finish_reason="length"), _pair(2, rejected_finish_reason="length")]
    assert [p.pair_id for p in run_checks(pairs, checks, held_out=set()).kept] == ["p2"]


def test_the_action_of_a_check_matters() -> None:
    pairs = [_pair(1, margin=0.0), _pair(2)]
    kept = {}
    for action in ("off", "warn", "drop", "stop"):
        checks: dict[CheckName, Check] = {"tie": Check.model_validate({"action": action})}
        outcome = run_checks(pairs, checks, held_out=set())
        kept[action] = (len(outcome.kept), len(outcome.flagged), outcome.stopping)
    assert kept == {
        "off": (2, 0, []),
        "warn": (2, 1, []),
        "drop": (1, 1, []),
        "stop": (1, 1, ["tie"]),
    }


def test_the_limit_of_a_check_matters() -> None:
    pairs = [_pair(1, margin=0.5)]
    for limit, kept in ((0.4, 1), (0.5, 0)):
        checks: dict[CheckName, Check] = {"tie": Check(action="drop", limit=limit)}
        assert len(run_checks(pairs, checks, held_out=set()).kept) == kept


def test_repeated_ids_do_not_blur_the_flags() -> None:
    outcome = run_checks([_pair(1), _pair(1, margin=0.0), _pair(1)], ALL, held_out=set())
    assert (len(outcome.kept), len(outcome.flagged)) == (2, 1)


def test_no_pairs_are_no_flags() -> None:
    outcome = run_checks([], ALL, held_out=set())
    assert (outcome.kept, outcome.flagged) == ([], [])
    with pytest.raises(ContractError, match="0 of 0 pairs are left; wanted at least"):
        enforce(outcome, max_flagged=0.5, min_kept=1, where="flagged.parquet")


def test_too_large_a_share_stops_the_run_and_names_number_limit_and_reason() -> None:
    outcome = run_checks([_pair(1), _pair(2, margin=0.0)], ALL, held_out=set())
    enforce(outcome, max_flagged=0.5, min_kept=1, where="flagged.parquet")
    with pytest.raises(ContractError, match=r"1 of 2 pairs are dropped \(50%\).*40%.*tie 1.*flag"):
        enforce(outcome, max_flagged=0.4, min_kept=1, where="flagged.parquet")
    with pytest.raises(ContractError, match=r"1 of 2 pairs are left.*min_kept = 2"):
        enforce(outcome, max_flagged=1, min_kept=2, where="flagged.parquet")


def test_a_stop_check_stops_the_run() -> None:
    checks: dict[CheckName, Check] = {"tie": Check(action="stop")}
    outcome = run_checks([_pair(1, margin=0.0), _pair(2)], checks, held_out=set())
    with pytest.raises(ContractError, match="1 pairs with tie, first p1"):
        enforce(outcome, max_flagged=1, min_kept=0, where="flagged.parquet")
