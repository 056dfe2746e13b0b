"""Stage `report`: whose figures its summary puts beside each other."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from spa.files import read_json, write_json
from spa.layout import Layout
from spa.page import render
from spa.records import Pair, TrainingRow
from spa.tables import read_table, write_table
from spa.tracking import registry, rounds
from stages import report
from tests.exported_run import copy_run


@pytest.fixture
def layout(
    exported_run: Layout, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Layout:
    """A finished run; nothing is drawn of it, nor logged."""
    own = copy_run(exported_run, tmp_path / "run")
    shutil.copy(database, own.root)
    monkeypatch.chdir(own.root)
    monkeypatch.setattr(report, "draw", lambda *_: [])
    monkeypatch.setattr(render, "render", lambda _: "")
    for place, name in (
        (rounds, "log_rounds"), (rounds, "log_artifacts"), (registry, "log_policies")
    ):  # fmt: skip
        monkeypatch.setattr(place, name, lambda *_: None)
    return own


def _change(layout: Layout, name: str, **figures: Any) -> None:
    file = layout.evaluation(name) / "metrics.json"
    write_json(file, read_json(file) | figures)


def test_health_is_a_rounds_beside_the_base(layout: Layout) -> None:
    """Round 2 gained 32 points, of which length control gives it 10, with longer answers."""
    _change(layout, "base", lc_win_rate=0.5, lc_approximate=True, mean_characters=150.0)
    _change(layout, "2", lc_win_rate=0.6, lc_approximate=True)
    report.main()
    health = read_json(layout.report / "summary.json")["health"]
    assert [health[name]["healthy"] for name in "012"] == [True, True, False]
    assert "has outgrown the length-controlled one" in health["2"]["words"]


def test_the_seeds_noise_is_what_round_zeros_detector_saw(layout: Layout) -> None:
    """Two of its pairs were seen, one of which was turned round and flagged."""
    turned, straight = read_table(layout.pool("seed"), Pair)[:2]
    seen: dict[str, Any] = {
        "step": 5, "loss": 0.7, "margin": 0.0, "extrapolated_margin": None, "threshold": 0.5,
        "refined": False, "learning_rate": 1e-6,
    }  # fmt: skip
    log = [
        TrainingRow(pair_id=turned.pair_id, confidence=0.4, flagged=True, **seen),
        TrainingRow(pair_id=straight.pair_id, confidence=0.6, flagged=False, **seen),
    ]
    write_table(layout.training_log(0), log, TrainingRow)
    write_json(layout.flipped_seed, [turned.pair_id])
    report.main()
    noise = read_json(layout.report / "summary.json")["seed_noise"]
    assert (noise["n"], noise["precision"], noise["recall"]) == (2, 1.0, 1.0)
