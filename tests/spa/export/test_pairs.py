"""The published pairs: whose they are, what was decided, and nothing lost on the way."""

from pathlib import Path

import pytest
import yaml

from spa.errors import ArtefactError
from spa.export.ancestry import rounds_of
from spa.export.pairs import PublishedPair, read_pairs
from spa.export.sources import Sources
from spa.files import write_json
from spa.layout import Layout
from spa.param_files import load_params
from spa.params import Params
from spa.records import FlaggedPair, FlaggedSeedPair, JudgedPair, Pair
from spa.tables import read_table, write_table
from tests.exported_run import copy_run, record


def _published(run: Layout, round: int = 2) -> dict[str, list[PublishedPair]]:
    params = load_params(run.params)
    pairs = read_pairs(Sources(run, params), run, params, round)
    return {**{n: list(own) for n, own in pairs.trained.items()}, "dropped": list(pairs.dropped)}


def test_every_pair_of_the_run_is_published_once_and_in_order(exported_run: Layout) -> None:
    found = _published(exported_run)
    assert list(found) == ["seed", "round-1", "round-2", "dropped"]
    seed = read_table(exported_run.pool("seed"), Pair)
    assert [pair.pair_id for pair in found["seed"]] == [pair.pair_id for pair in seed]
    for name in ("1", "2"):
        kept = read_table(exported_run.kept(name), JudgedPair)
        assert [pair.pair_id for pair in found[f"round-{name}"]] == [p.pair_id for p in kept]
        left = {p.pair_id for p in found["dropped"] if p.round == int(name)}
        every = {p.pair_id for p in read_table(exported_run.pairs(name), JudgedPair)}
        assert left == every - {p.pair_id for p in kept}
        assert left


def test_a_judged_pair_is_messages_with_its_judge_and_decision(exported_run: Layout) -> None:
    warned, kept, *_ = _published(exported_run)["round-1"]
    own = read_table(exported_run.kept(1), JudgedPair)[0]
    assert warned.prompt == own.prompt
    assert warned.chosen == [{"role": "assistant", "content": own.chosen}]
    assert warned.rejected == [{"role": "assistant", "content": own.rejected}]
    assert (warned.margin, warned.probability) == (own.margin, own.probability)
    assert (warned.labelled_by, warned.round) == ("implicit", 1)
    assert (warned.decision, warned.reasons) == ("warned", ["cut:chosen"])
    assert (kept.decision, kept.reasons) == ("kept", [])
    dropped = _published(exported_run)["dropped"][0]
    assert (dropped.decision, dropped.reasons) == ("dropped", ["repetition:chosen"])


def test_a_seed_pair_has_no_judge(exported_run: Layout) -> None:
    pair = _published(exported_run)["seed"][0]
    assert (pair.labelled_by, pair.round, pair.decision) == ("human", 0, "kept")
    assert pair.margin is None
    assert pair.probability is None


def test_labels_turned_on_purpose_are_marked(exported_run: Layout, tmp_path: Path) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    seed, kept = read_table(run.pool("seed"), Pair), read_table(run.kept(2), JudgedPair)
    write_json(run.flipped_seed, [seed[3].pair_id])
    turned = JudgedPair(**{**kept[1].row(), "margin": -kept[1].margin})
    write_table(run.kept(2), [kept[0], turned, *kept[2:]], JudgedPair)
    record(run)
    found = _published(run)
    assert [n for n, p in enumerate(found["seed"]) if p.label_flipped] == [3]
    assert [n for n, p in enumerate(found["round-2"]) if p.label_flipped] == [1]


def test_a_seed_pair_is_published_with_what_the_checks_said(
    exported_run: Layout, tmp_path: Path
) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    seed = read_table(run.pool("seed"), Pair)
    flags = [("cut:rejected", "warn"), ("identical", "drop")]
    flagged = [
        FlaggedSeedPair(**pair.row(), reasons=[reason], action=action)
        for pair, (reason, action) in zip(seed, flags, strict=False)
    ]
    write_table(run.flagged(0), flagged, FlaggedSeedPair)
    record(run)
    found = _published(run, 0)
    assert [p.pair_id for p in found["seed"]] == [p.pair_id for p in seed if p != seed[1]]
    assert (found["seed"][0].decision, found["seed"][0].reasons) == ("warned", ["cut:rejected"])
    (dropped,) = found["dropped"]
    assert (dropped.pair_id, dropped.decision) == (seed[1].pair_id, "dropped")
    assert dropped.reasons == ["identical"]


def test_round_0_has_the_seed_alone(exported_run: Layout) -> None:
    found = _published(exported_run, 0)
    assert list(found) == ["seed", "dropped"]
    assert found["dropped"] == []


def test_a_policy_is_made_of_the_rounds_that_led_to_it(exported_run: Layout) -> None:
    values = yaml.safe_load(exported_run.params.read_text())
    line = values["rounds"]["1"]
    prevs = {"1": "0", "2": "1", "5": "rival", "3": "5", "4": "1"}
    values["rounds"] = {name: {**line, "prev": prev} for name, prev in prevs.items()}
    params = Params.model_validate(values)
    assert {n: rounds_of(params, n) for n in (0, 1, 2, 3, 4)} == {
        0: [], 1: [1], 2: [1, 2], 3: [5, 3], 4: [1, 4]
    }  # fmt: skip


def test_a_changed_file_is_not_published(exported_run: Layout, tmp_path: Path) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    write_table(run.flagged(1), read_table(run.flagged(1), FlaggedPair)[1:], FlaggedPair)
    with pytest.raises(ArtefactError, match=r"data/round-1/flagged.parquet: .*than filter@1 wrote"):
        _published(run)
