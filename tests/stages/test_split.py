"""The stage split: seed pairs that a check speaks against are flagged, and not trained on."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from spa.errors import ContractError
from spa.files import read_json
from spa.flagged import rows_behind
from spa.layout import Layout
from spa.models import load_encoder
from spa.records import FlaggedSeedPair, Pair, Prompt
from spa.tables import read_table
from stages import split, train
from stages._context import stage_context
from stages._evaluating import read_gold
from tests.pipeline.tiny_params import write_pipeline

GOOD = "Yeast eats the sugar of the flour, and its gas slowly lifts the dough."
OTHER = "There is air in it, as bakers beat the batter until bubbles fill it all."
BAD = {
    "identical": {"chosen": GOOD, "rejected": GOOD},
    "empty:rejected": {"chosen": GOOD, "rejected": ""},
    "blank:chosen": {"chosen": " \n", "rejected": OTHER},
    "template_leak:chosen": {"chosen": f"<|im_start|>{GOOD}", "rejected": OTHER},
}


def _question(number: int) -> str:
    return f"Why does bread number {number} rise?"


@pytest.fixture
def layout(
    tmp_path: Path, tiny_folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> Layout:
    """All labelled pairs are the seed: 24 good ones, one of each fault, and a contradiction."""
    good = [{"chosen": GOOD, "rejected": OTHER}] * 24
    pairs = [{"prompt": _question(n), **row} for n, row in enumerate([*good, *BAD.values()])]
    pairs += [{"prompt": _question(99), "chosen": a, "rejected": b} for a, b in _both_ways()]
    layout = Layout(write_pipeline(tmp_path, tiny_folder, code=False))
    (layout.raw / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    _change(layout, "split", seed_pairs=len(pairs), gold=0)
    shutil.copy(database, layout.root)
    monkeypatch.chdir(layout.root)
    return layout


def _both_ways() -> list[tuple[str, str]]:
    return [(GOOD, OTHER), (OTHER, GOOD)]


def _change(layout: Layout, section: str, **values: Any) -> None:
    params = yaml.safe_load(layout.params.read_text())
    params[section] |= values
    layout.params.write_text(yaml.safe_dump(params, sort_keys=False))


def test_each_fault_of_the_seed_is_flagged_and_no_good_pair(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    split.main()
    flagged = read_table(layout.flagged(0), FlaggedSeedPair)
    found = sorted((pair.reasons[0], pair.action) for pair in flagged)
    assert found == sorted((name, "drop") for name in [*BAD, "contradiction", "contradiction"])
    assert len(read_table(layout.pool("seed"), Pair)) == 30, "none is lost"
    told = capsys.readouterr().out
    assert "6 of 30 seed pairs are not trained on; `spa flagged --round 0` says why" in told


def test_what_is_dropped_is_not_trained_on(layout: Layout, tiny_folder: Path) -> None:
    split.main()
    with stage_context() as here:
        trained = {pair.pair_id for pair in train.token_pairs(here, 0, load_encoder(tiny_folder))}
    seed = {pair.pair_id for pair in read_table(layout.pool("seed"), Pair)}
    flagged = {pair.pair_id for pair in read_table(layout.flagged(0), FlaggedSeedPair)}
    assert len(trained) == 24
    assert trained == seed - flagged


def test_too_large_a_share_stops_and_the_flagged_rows_stay(layout: Layout) -> None:
    _change(layout, "filter", max_flagged=0.19)
    said = r"split: the share of pairs that are dropped is 0\.2; wanted at most 0\.19 .*--round 0"
    with pytest.raises(ContractError, match=said):
        split.main()
    assert len(rows_behind(layout, 0, None)) == 6


def test_a_check_can_warn_or_be_off_or_stop(layout: Layout, tiny_folder: Path) -> None:
    _change(layout, "filter", checks={"identical": {"action": "warn"}, "empty": {"action": "off"}})
    split.main()
    actions = {p.reasons[0]: p.action for p in read_table(layout.flagged(0), FlaggedSeedPair)}
    assert actions.pop("length_ratio") == "warn", "an empty answer is very short as well"
    assert actions == {"identical": "warn", "template_leak:chosen": "drop", "contradiction": "drop"}
    with stage_context() as here:
        assert len(train.token_pairs(here, 0, load_encoder(tiny_folder))) == 24 + 3
    _change(layout, "filter", checks={"identical": {"action": "stop"}})
    with pytest.raises(ContractError, match=r"split: found 1 pairs with identical, first \w+;"):
        split.main()
    assert [row.action for row in rows_behind(layout, 0, "identical")] == ["stop"]


def test_a_seed_prompt_that_is_held_out_but_for_blanks_is_an_overlap(layout: Layout) -> None:
    """Four questions of the seed, loud and as messages: a test, a development, two rounds'."""
    loud = [[{"role": "user", "content": f" {_question(n).upper()}\n"}] for n in range(4)]
    lines = "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in loud)
    (layout.raw / "prompts.jsonl").write_text(lines)
    _change(layout, "split", test=1, development=1)
    rounds = yaml.safe_load(layout.params.read_text())["rounds"]
    _change(layout, "rounds", **{name: line | {"prompts": 1} for name, line in rounds.items()})
    with pytest.raises(ContractError, match=r"split: found 2 pairs with overlap, first \w+;"):
        split.main()
    held_out = [read_table(layout.pool(name), Prompt)[0] for name in ("test", "development")]
    questions = {row.prompt[-1]["content"].strip().lower() for row in held_out}
    shown = rows_behind(layout, 0, "overlap")
    assert {row.prompt[-1]["content"].lower() for row in shown} == questions


def test_a_rounds_prompt_that_is_a_seed_prompt_but_for_case_is_told_and_stops_where_filter_would(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """Test, development and both rounds ask a question of the seed each, loud and unpunctuated."""
    lines = [json.dumps({"prompt": _question(n).upper().rstrip("?")}) + "\n" for n in range(4)]
    (layout.raw / "prompts.jsonl").write_text("".join(lines))
    _change(layout, "split", test=1, development=1)
    _change(layout, "filter", checks={"overlap": {"action": "warn"}})
    rounds = yaml.safe_load(layout.params.read_text())["rounds"]
    _change(layout, "rounds", **{name: line | {"prompts": 1} for name, line in rounds.items()})
    split.main()
    asked = read_table(layout.pool(1), Prompt)[0].prompt[-1]["content"]
    told = "warning: 1 prompts of round 1 are those of the seed but for case, blanks, Unicode form"
    said = capsys.readouterr().out
    assert f"{told} and final punctuation, first {asked!r}; filter@1 warns of their pairs" in said
    assert "warning: 1 prompts of round 2" in said
    own = {"prompts": 1, "filter": {"checks": {"overlap": {"action": "stop"}}}}
    _change(layout, "rounds", **{"2": rounds["2"] | own, "1": rounds["1"] | {"prompts": 1}})
    with pytest.raises(ContractError, match=r"split: 1 prompts of round 2 .*; wanted none, as "):
        split.main()
    assert read_table(layout.pool(2), Prompt), "the pools stay to be looked at"


def test_gold_pairs_are_checked_as_well_and_those_dropped_are_not_evaluated_on(
    layout: Layout, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (layout.raw / "pairs.jsonl").open("a") as file:  # seed 1 draws it first
        file.write(json.dumps({"prompt": _question(119), "chosen": GOOD, "rejected": OTHER}) + "\n")
    _change(layout, "split", seed_pairs=1, gold=30)
    shutil.copytree(tiny_folder, layout.policy("base"))
    split.main()
    flagged = read_table(layout.flagged("gold"), FlaggedSeedPair)
    found = sorted(pair.reasons[0] for pair in flagged)
    assert found == sorted([*BAD, "contradiction", "contradiction"])
    said = capsys.readouterr().out
    assert "6 of 30 gold pairs are not evaluated on; `spa flagged --gold` says why" in said
    with stage_context() as here:
        read = read_gold(here, layout.policy("base")).pair_ids
    gold = {pair.pair_id for pair in read_table(layout.pool("gold"), Pair)}
    assert set(read) == gold - {pair.pair_id for pair in flagged}
    assert len(read) == 24
    _change(layout, "filter", checks={"empty": {"action": "stop"}})
    with pytest.raises(ContractError, match="spa flagged --gold --reason blank:chosen"):
        split.main()
    assert len(rows_behind(layout, "gold", "blank")) == 1


def test_flipped_labels_turn_that_share_of_the_seed_round_and_no_other_pool(
    layout: Layout,
) -> None:
    _change(layout, "split", seed_pairs=20, gold=4)
    sides = {}
    for share in (0.0, 0.25):
        _change(layout, "split", flip_seed_labels=share)
        split.main()
        sides[share] = {
            name: [(pair.pair_id, pair.chosen) for pair in read_table(layout.pool(name), Pair)]
            for name in ("seed", "gold")
        }
    assert sides[0.0]["gold"] == sides[0.25]["gold"]
    both = zip(sides[0.0]["seed"], sides[0.25]["seed"], strict=True)
    turned = [after[0] for before, after in both if before != after]
    assert len(turned) == 5
    assert read_json(layout.flipped_seed) == turned


def test_a_seed_prompt_that_is_a_gold_one_but_for_case_is_an_overlap(layout: Layout) -> None:
    rows = [{"prompt": ask, "chosen": GOOD, "rejected": OTHER} for ask in ("Why so?", "WHY SO?")]
    (layout.raw / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _change(layout, "split", seed_pairs=1, gold=1)
    with pytest.raises(ContractError, match=r"split: found 1 pairs with overlap, first \w+;"):
        split.main()


def test_labels_are_checked_as_they_are_trained_on_where_they_are_turned_round(
    layout: Layout,
) -> None:
    _change(layout, "split", flip_seed_labels=1.0)
    split.main()
    flagged = read_table(layout.flagged(0), FlaggedSeedPair)
    assert "empty:chosen" in {reason for pair in flagged for reason in pair.reasons}
    seed = {pair.pair_id for pair in read_table(layout.pool("seed"), Pair)}
    assert {pair.pair_id for pair in flagged} < seed
