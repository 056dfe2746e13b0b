"""The stage filter: what is dropped, what is written, and a stop that loses nothing."""

import json
from pathlib import Path

import pytest
import yaml

from spa.files import read_json, read_table, write_table
from spa.layout import Layout
from spa.records import FlaggedPair, JudgedPair, Pair, Prompt
from stages._app import run
from tests.pipeline.tiny_params import write_pipeline

GOOD = "Yeast eats the sugar of the flour, and its gas slowly lifts the dough."
OTHER = "There is air in it, as bakers beat the batter until bubbles fill it all."


def _pair(number: int, chosen: str = GOOD, rejected: str = OTHER) -> JudgedPair:
    return JudgedPair(
        pair_id=f"p{number}",
        prompt_id=f"q{number}",
        prompt=[{"role": "user", "content": f"Why does bread number {number} rise?"}],
        chosen=chosen,
        rejected=rejected,
        chosen_finish_reason="stop",
        rejected_finish_reason="stop",
        chosen_id=f"a{number}",
        rejected_id=f"b{number}",
        margin=1.0 + number,
        probability=0.6,
        method="implicit",
    )


@pytest.fixture
def layout(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    layout = Layout(write_pipeline(tmp_path, tiny_folder, filter={"max_flagged": 0.5}))
    held_out = [{"role": "user", "content": "Why does bread number 3 rise?"}]
    write_table(layout.pool("development"), [], Prompt)
    write_table(layout.pool("test"), [Prompt(prompt_id="q3", prompt=held_out)], Prompt)
    for name in ("gold", "seed"):
        write_table(layout.pool(name), [], Pair)
    monkeypatch.chdir(layout.root)
    return layout


def _filter() -> int:
    with pytest.raises(SystemExit) as exit:
        run(["filter", "--round", "1"])
    return int(str(exit.value.code))


def test_a_degenerate_pair_is_dropped_with_its_reason(layout: Layout) -> None:
    pairs = [_pair(0), _pair(1, rejected=GOOD), _pair(2)]
    write_table(layout.pairs(1), pairs, JudgedPair)
    assert _filter() == 0
    assert read_table(layout.kept(1), JudgedPair) == [pairs[0], pairs[2]]
    [flagged] = read_table(layout.flagged(1), FlaggedPair)
    assert flagged.pair_id == "p1"
    assert "identical" in json.dumps(flagged.reasons)
    report = read_json(layout.checks(1))
    assert (report["pairs"], report["kept"], report["flagged"]) == (3, 2, 1)
    assert report["margin_mean"] == pytest.approx(2.0)  # of margins 1 and 3
    assert report["margin_std"] == pytest.approx(1.0)


def test_a_held_out_prompt_stops_the_round_and_the_flagged_rows_stay(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(layout.pairs(1), [_pair(n) for n in range(4)], JudgedPair)
    assert _filter() == 1
    assert "overlap" in capsys.readouterr().err
    assert [row.pair_id for row in read_table(layout.flagged(1), FlaggedPair)] == ["p3"]


def test_a_rounds_own_limit_overrides(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(layout.pairs(1), [_pair(0), _pair(1)], JudgedPair)
    assert _filter() == 0
    params = yaml.safe_load(layout.params.read_text())
    params["rounds"]["1"]["filter"] = {"min_kept": 3}
    layout.params.write_text(yaml.safe_dump(params))
    assert _filter() == 1
    assert "2 pairs" in capsys.readouterr().err
