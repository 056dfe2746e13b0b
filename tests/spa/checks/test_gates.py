"""Gates: figures by hand, verdicts at their limits, and a stop that says what to do."""

import random
from typing import Any

import pytest

from spa.checks import enforce, judge_gates, run_checks
from spa.checks.gates import chosen_longer, distinct_2, distinct_answers
from spa.contract import DEFAULT_CHECKS, Check, Filter, Gate
from spa.errors import ContractError
from spa.records import JudgedPair, Response
from tests.spa.checks.fault_file import good_pair

GOOD = [good_pair(number, random.Random(number)) for number in range(20)]


def _response(prompt: int, sample: int, text: str) -> Response:
    return Response(
        response_id=f"r{prompt}-{sample}", prompt_id=f"q{prompt}",
        prompt=[{"role": "user", "content": "Why?"}], sample=sample, text=text, token_ids=[1],
        finish_reason="stop", seed=0, model="m", logprob=-1.0, token_logprobs=[-1.0],
    )  # fmt: skip


def _with(pair: JudgedPair, **changes: Any) -> JudgedPair:
    return JudgedPair(**{**pair.row(), **changes})


VARIED = [_response(n, s, f"Answer {n} number {s} of many.") for n in range(10) for s in (0, 1)]


def _verdicts(
    pairs: list[JudgedPair], responses: list[Response], **settings: Any
) -> dict[str, str]:
    outcome = run_checks(pairs, {"tie": Check(action="drop", limit=0.0)})
    return {v.gate: v.verdict for v in judge_gates(outcome, responses, Filter(**settings))}


def test_distinct_answers_by_hand() -> None:
    """Three answers of which two differ: 1/2; two that are the same: 0; one alone: left out."""
    texts = ((0, ("a", "b", "A ")), (1, ("c", "c")), (2, ("d",)))
    responses = [_response(p, s, t) for p, own in texts for s, t in enumerate(own)]
    assert distinct_answers(responses) == pytest.approx(0.25)
    assert distinct_answers([]) == 1.0


def test_distinct_2_reads_the_first_answer_of_each_prompt() -> None:
    """First answers 'a b c' and 'a b': two different pairs among three; 'x y z' is a second."""
    responses = [_response(0, 0, "a b c"), _response(0, 1, "x y z"), _response(1, 0, "a b")]
    assert distinct_2(responses) == pytest.approx(2 / 3)


def test_distinct_2_stops_reading_after_256_prompts() -> None:
    responses = [_response(n, 0, "the same") for n in range(256)]
    later = [_response(n, 0, f"other{n} words{n}") for n in range(256, 300)]
    assert distinct_2(responses + later) == distinct_2(responses) == pytest.approx(1 / 256)


def test_chosen_longer_by_hand() -> None:
    pairs = [_with(GOOD[0], chosen="a b c"), _with(GOOD[1], chosen="a", rejected="b c")]
    assert chosen_longer(pairs[1:]) == 0.0
    assert chosen_longer([pairs[1], _with(pairs[1], chosen="b c d")]) == 0.5
    assert chosen_longer([]) == 0.0


def test_a_sound_round_passes_every_gate() -> None:
    assert set(_verdicts(GOOD, VARIED).values()) == {"holds"}


@pytest.mark.parametrize(
    ("gate", "pairs", "responses"),
    [
        ("chosen_longer", [_with(p, chosen=p.chosen + " Yes, so it is.") for p in GOOD], VARIED),
        ("chosen_longer", [_with(p, rejected=f"{p.rejected} {p.rejected}") for p in GOOD], VARIED),
        ("margin_std", [_with(p, margin=0.7) for p in GOOD], VARIED),
        (
            "distinct_answers",
            GOOD,
            [_response(n, s, f"all {n}") for n in range(10) for s in (0, 1)],
        ),
        (
            "distinct_2",
            GOOD,
            [_response(n, s, "same words " * 30) for n in range(20) for s in (0,)],
        ),
    ],
)
def test_a_degenerate_round_trips_its_gate_alone(
    gate: str, pairs: list[JudgedPair], responses: list[Response]
) -> None:
    found = _verdicts(pairs, responses)
    assert {name for name, verdict in found.items() if verdict != "holds"} == {gate}
    assert found[gate] == "stop"
    outcome = run_checks(pairs, {})
    with pytest.raises(ContractError) as stop:
        enforce(outcome, judge_gates(outcome, responses, Filter()), round=3)
    assert f"filter.gates.{gate}" in str(stop.value)
    assert f"`spa flagged --round 3 --reason {gate}` shows the rows" in str(stop.value)
    assert "\n" not in str(stop.value)
    assert _verdicts(pairs, responses, gates={gate: Gate(action="off")}).get(gate) is None
    low = {gate: Gate(action="warn", low=2.0, high=None)}
    assert _verdicts(pairs, responses, gates=low)[gate] == "warn"


def test_few_rows_say_too_little_to_stop() -> None:
    found = _verdicts([_with(p, margin=0.7) for p in GOOD[:15]], VARIED[:15])
    assert {found[g] for g in ("chosen_longer", "margin_std", "distinct_2")} == {"too few"}


def test_shares_and_counts_stop_the_run_with_number_limit_and_reasons() -> None:
    outcome = run_checks([_with(GOOD[0], margin=0.0), GOOD[1]], {"tie": Check(action="drop")})
    enforce(outcome, judge_gates(outcome, [], Filter(max_flagged=0.5, min_kept=1)), round=1)
    with pytest.raises(
        ContractError, match=r"dropped is 0\.5; wanted at most 0\.4.*tie 1;.*flagged"
    ):
        enforce(outcome, judge_gates(outcome, [], Filter(max_flagged=0.4)), round=1)
    with pytest.raises(ContractError, match=r"kept is 1; wanted at least 2 \(filter\.min_kept"):
        enforce(outcome, judge_gates(outcome, [], Filter(max_flagged=1, min_kept=2)), round=1)
    nothing = run_checks(GOOD[:0], DEFAULT_CHECKS)
    with pytest.raises(ContractError, match="kept is 0; wanted at least 1"):
        enforce(nothing, judge_gates(nothing, [], Filter()), round=1)


def test_a_stop_check_stops_the_run() -> None:
    outcome = run_checks([_with(GOOD[0], margin=0.0), GOOD[1]], {"tie": Check(action="stop")})
    with pytest.raises(ContractError, match=rf"1 pairs with tie, first {GOOD[0].pair_id}; "):
        enforce(outcome, [], round=1)
