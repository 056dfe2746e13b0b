"""A round's digest: counts, a draw that stays as it is, and curves worked by hand."""

import math
import random
from dataclasses import replace
from pathlib import Path

from spa.digest import EXAMPLES, PAIRS, curves, digest
from spa.files import write_json
from spa.records import JudgedPair
from tests.finished_run import flagged_pair, judged_pair, training_log

KEPT = [judged_pair(number) for number in range(8)]
GOLD = {f"p{number}": 1.0 if number % 2 else 0.0 for number in range(12)}
FLAGGED = [
    flagged_pair(2, ["cut:chosen"], "warn"),
    flagged_pair(8, ["cut:chosen", "tie"], "drop"),
    flagged_pair(9, ["tie"], "drop"),
    flagged_pair(10, ["tie"], "stop"),
]


def test_reasons_count_their_pairs_and_those_that_were_dropped() -> None:
    found = digest(KEPT, FLAGGED, GOLD, [])
    assert (found["kept"], found["flagged"]) == (8, 4)
    counts = {name: (own["pairs"], own["dropped"]) for name, own in found["reasons"].items()}
    assert counts == {"cut:chosen": (2, 1), "tie": (3, 3)}
    examples = {name: len(own["examples"]) for name, own in found["reasons"].items()}
    assert examples == {"cut:chosen": 2, "tie": EXAMPLES}


def test_the_pairs_shown_are_kept_ones_with_gold_and_do_not_depend_on_order() -> None:
    found = digest(KEPT, FLAGGED, GOLD, [])
    assert [pair["pair_id"] for pair in found["pairs"]] == ["p0", "p1", "p2", "p3"][:PAIRS]
    assert [pair["gold"] for pair in found["pairs"]] == [0.0, 1.0, 0.0, 1.0][:PAIRS]
    shuffled: list[JudgedPair] = list(KEPT)
    random.Random(1).shuffle(shuffled)
    assert digest(shuffled, FLAGGED[::-1], GOLD, [])["pairs"] == found["pairs"]


def test_one_more_pair_changes_no_more_than_one_of_those_shown() -> None:
    """Their order is that of hashes; a pair before them all moves the last one out."""
    before = [pair["pair_id"] for pair in digest(KEPT[1:], [], GOLD, [])["pairs"]]
    after = [pair["pair_id"] for pair in digest(KEPT, [], GOLD, [])["pairs"]]
    assert after == ["p0", *before[:-1]]


def test_a_margin_that_json_cannot_hold_is_shown_as_none_and_without_gold(tmp_path: Path) -> None:
    broken = replace(flagged_pair(11, ["non_finite:margin"], "drop"), margin=math.inf)
    gold = {name: value for name, value in GOLD.items() if name != broken.pair_id}
    found = digest(KEPT, [*FLAGGED, broken], gold, [])
    [shown] = found["reasons"]["non_finite:margin"]["examples"]
    assert (shown["pair_id"], shown["margin"], shown["gold"]) == (broken.pair_id, None, None)
    write_json(tmp_path / "digest.json", found)


def test_curves_are_means_over_each_steps_pairs() -> None:
    """Margins of step s are s and s - 1, so their mean is s - 0.5; at 1 one of two is above 0."""
    found = curves(training_log())
    assert found["step"] == [0, 1, 2, 3, 4]
    assert found["margin"] == [-0.5, 0.5, 1.5, 2.5, 3.5]
    assert found["reward_accuracy"] == [0, 0.5, 1, 1, 1]
    assert found["loss"] == [0.5] * 5


def test_a_round_without_pairs_has_an_empty_digest() -> None:
    empty: dict[str, list[float]] = {"step": [], "loss": [], "margin": [], "reward_accuracy": []}
    assert digest([], [], {}, []) == {
        "kept": 0, "flagged": 0, "pairs": [], "reasons": {}, "curves": empty,
    }  # fmt: skip
