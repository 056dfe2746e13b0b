"""The data contract: every check finds its fault, and nothing else."""

from typing import Any

import pytest

from spa.checks import INPUT_CHECKS, Known, run_checks
from spa.contract import DEFAULT_CHECKS, Check, CheckName
from spa.records import JudgedPair, Pair, pair_hash, prompt_hash
from spa.same_prompts import prompt_key

GOOD = "Yeast eats sugar in the flour and makes gas, which slowly lifts the dough."
OTHER = "Because there is air in it; bakers beat the batter until it is full of bubbles."
ALL: dict[CheckName, Check] = {name: Check(action="drop") for name in DEFAULT_CHECKS}


def _pair(number: int = 0, **changes: Any) -> JudgedPair:
    fields: dict[str, Any] = {
        "pair_id": f"p{number}",
        "prompt_id": f"q{number}",
        "prompt": [{"role": "user", "content": f"Why does bread number {number} rise so high"}],
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


FAULTS: dict[str, dict[str, Any]] = {
    "identical": {"rejected": GOOD},
    "near_identical": {"chosen": f"{GOOD} {GOOD} {OTHER}", "rejected": f"{GOOD} {GOOD} {OTHER} So"},
    "wordless:chosen": {"chosen": " ... "},
    "blank:chosen": {"chosen": " \n\u200b "},
    "empty:rejected": {"rejected": ""},
    "cut:chosen": {"chosen_finish_reason": "length"},
    "cut:rejected": {"rejected_finish_reason": "length"},
    "repetition:chosen": {"chosen": "It rises again. " * 8},
    "repetition:rejected": {"rejected": "It rises again. " * 8},
    "prompt_echo:chosen": {"chosen": "Why does bread number 9 rise so high"},
    "prompt_echo:rejected": {"rejected": "Why does bread number 10 rise so high"},
    "template_leak:chosen": {"chosen": GOOD + "<|im_end|>"},
    "template_leak:rejected": {"rejected": OTHER + "\nHuman: more"},
    "tie": {"margin": -0.0005},
}


def test_each_fault_is_found_among_good_pairs_and_only_there() -> None:
    good = [_pair(number) for number in range(100, 106)]
    faulty = {f"p{number}": reason for number, reason in enumerate(FAULTS)}
    pairs = [*good[:3], *(_pair(n, **FAULTS[r]) for n, r in enumerate(FAULTS)), *good[3:]]
    outcome = run_checks(pairs, ALL, held_out=set())
    found = {flag.pair.pair_id: flag.reasons for flag in outcome.flagged}
    assert list(found) == list(faulty)
    for name, reason in faulty.items():
        assert reason in found[name]
        assert outcome.counts[reason] == sum(reason in reasons for reasons in found.values())
    assert outcome.kept == good


def test_a_held_out_prompt_is_an_overlap() -> None:
    outcome = run_checks(
        [_pair(1), _pair(2)], ALL, held_out={"user: why does bread number 2 rise so high"}
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
    outcome = run_checks(
        [_pair(1), _pair(2, pair_id="p1", margin=0.0), _pair(3, pair_id="p1")], ALL, held_out=set()
    )
    assert (len(outcome.kept), len(outcome.flagged)) == (2, 1)


def test_no_pairs_are_no_flags() -> None:
    none: list[JudgedPair] = []
    outcome = run_checks(none, ALL, held_out=set())
    assert (outcome.kept, outcome.flagged) == ([], [])


def test_the_turned_round_label_flags_both_pairs_and_a_repeat_only_the_later() -> None:
    same: dict[str, Any] = {"prompt": [{"role": "user", "content": "Why does dough rise?"}]}
    pairs = [_pair(1, **same), _pair(2, **same, chosen=OTHER, rejected=GOOD.upper()), _pair(3)]
    outcome = run_checks(pairs, ALL, held_out=set())
    assert [(f.row, f.reasons) for f in outcome.flagged] == [
        (0, ["contradiction"]),
        (1, ["contradiction"]),
    ]
    outcome = run_checks([_pair(1), _pair(1), _pair(2)], ALL, held_out=set())
    assert [(f.row, f.reasons) for f in outcome.flagged] == [(1, ["repeated"])]


def test_what_is_known_of_a_response_flags_the_pair_that_uses_it() -> None:
    pairs = [_pair(n, chosen_id=f"a{n}", rejected_id=f"b{n}") for n in range(4)]
    known = Known(
        non_finite={"a1"}, unended={"b2"}, earlier={"user: why does bread number 3 rise so high"}
    )
    outcome = run_checks(pairs, ALL, known=known)
    assert [(f.row, f.reasons) for f in outcome.flagged] == [
        (1, ["non_finite:chosen"]),
        (2, ["missing_end:rejected"]),
        (3, ["reused_prompt"]),
    ]


@pytest.mark.parametrize("margin", [float("nan"), float("inf")])
def test_a_margin_that_is_no_number_is_not_finite_and_no_tie(margin: float) -> None:
    outcome = run_checks([_pair(0), _pair(1, margin=margin)], ALL)
    assert [(f.row, f.reasons) for f in outcome.flagged] == [(1, ["non_finite:margin"])]


def test_human_pairs_meet_the_input_checks_and_none_on_scores() -> None:
    prompt = _pair(1).prompt
    pairs = [
        Pair(
            pair_id=pair_hash(prompt, chosen, rejected),
            prompt_id=prompt_hash(prompt),
            prompt=prompt,
            chosen=chosen,
            rejected=rejected,
            chosen_finish_reason="stop",
            rejected_finish_reason="stop",
        )
        for chosen, rejected in ((GOOD, OTHER), (GOOD, GOOD), (OTHER, GOOD), (GOOD, ""))
    ]
    outcome = run_checks(pairs, INPUT_CHECKS)
    assert {f.row: f.reasons for f in outcome.flagged} == {
        0: ["contradiction"],
        1: ["identical", "near_identical"],
        2: ["contradiction"],
        3: ["empty:rejected", "length_ratio"],
    }
    assert outcome.kept == []
    assert run_checks(pairs[:1], ALL).kept == pairs[:1]


def test_only_the_last_user_turn_of_a_conversation_is_not_its_prompt() -> None:
    """Two talks that both end in "Go on." are two prompts."""
    talk = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    first = _pair(1, prompt=[*talk, {"role": "user", "content": "Go on."}])
    assert run_checks([first], ALL, held_out={"user: go on"}).flagged == []
    [flag] = run_checks([first], ALL, held_out={prompt_key(first.prompt)}).flagged
    assert flag.reasons == ["overlap"]


def _asked(system: str, **changes: Any) -> JudgedPair:
    turns = [{"role": "system", "content": system}, {"role": "user", "content": "Why?"}]
    return _pair(1, prompt=turns, **changes)


def test_prompts_that_differ_in_their_system_turn_are_different_prompts() -> None:
    turned = {"chosen": OTHER, "rejected": GOOD}
    pairs = [_asked("Be brief."), _asked("Be long."), _asked("Be long. ", **turned)]
    known = Known(earlier={prompt_key(_asked("Be kind.").prompt)}, held_out={"user: why"})
    found = {f.row: f.reasons for f in run_checks(pairs, ALL, known=known).flagged}
    assert found == {1: ["contradiction"], 2: ["contradiction"]}


def test_answers_that_only_case_or_blanks_tell_apart_are_nearly_identical() -> None:
    """Exact reasons take them as they are: the second pair turns the first one round."""
    prompt = _pair(1).prompt
    pairs = [
        _pair(1, chosen=GOOD, rejected=GOOD.upper()),
        _pair(2, prompt=prompt, chosen=GOOD.upper(), rejected=GOOD),
        _pair(3, prompt=prompt, chosen=GOOD, rejected=GOOD.upper()),
        _pair(4, chosen=GOOD, rejected=f"{GOOD} "),
    ]
    assert {f.row: f.reasons for f in run_checks(pairs, ALL).flagged} == {
        0: ["near_identical", "contradiction"],
        1: ["near_identical", "contradiction"],
        2: ["near_identical", "contradiction", "repeated"],
        3: ["near_identical"],
    }
