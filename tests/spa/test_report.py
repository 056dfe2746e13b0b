"""The report: the promised keys, and sentences that follow from the figures."""

import shutil
from pathlib import Path

import pytest

from spa import report
from spa.errors import ArtefactError
from spa.files import read_json, write_json
from spa.layout import Layout
from tests.finished_run import write_finished_run

PROMISED = {
    "round", "win_rate", "win_rate_low", "win_rate_high", "annotator", "heldout_accuracy",
    "judge_accuracy", "kl_to_base", "mean_tokens", "finished", "kept", "flagged",
}  # fmt: skip


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_finished_run(Layout(tmp_path))


def test_rows_have_the_promised_keys_and_leftover_rounds_are_not_read(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    assert [row["round"] for row in rows] == ["base", "0", "1", "2", "rival"]
    assert all(row.keys() >= PROMISED for row in rows)
    assert rows[0]["judge_accuracy"] is None
    assert (rows[2]["judge_accuracy"], rows[2]["kept"]) == (0.7, 60)


def test_the_recommended_round_is_the_earliest_best_on_development(layout: Layout) -> None:
    summary = report.summary(report.read_rows(layout, ["1", "2"]))
    assert summary["recommended_round"] == "1"


def test_what_another_machine_evaluated_and_this_one_lacks_is_named(layout: Layout) -> None:
    said = r"data/evaluation/3, data/calibration/3: not found; .*`dvc pull .*` where another"
    with pytest.raises(ArtefactError, match=said):
        report.read_rows(layout, ["1", "2", "3"])
    shutil.rmtree(layout.calibration(1))
    with pytest.raises(ArtefactError, match=r"^data/calibration/1: not found"):
        report.read_rows(layout, ["1", "2"])


def test_csv_and_table_hold_every_round(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    lines = report.to_csv(rows).splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["-1", "base", "0.5"], ["0", "0", "0.55"], ["1", "1", "0.7"], ["2", "2", "0.8"],
    ]  # fmt: skip
    table = report.to_table(rows).splitlines()
    assert len({len(line) for line in table}) == 1
    assert "80.0% [75.0%, 85.0%]" in table[5]


def test_the_detectors_figures_are_its_own_and_not_the_judges(layout: Layout) -> None:
    file = layout.calibration("1") / "metrics.json"
    noise = {"precision": 0.3, "recall": 0.2, "auroc": 0.55, "margin_auroc": 0.65}
    write_json(file, read_json(file) | {"noise": noise})
    row = report.read_rows(layout, ["1", "2"])[2]
    assert (row["auroc"], row["noise_auroc"], row["noise_margin_auroc"]) == (0.7, 0.55, 0.65)
    assert (row["noise_precision"], row["noise_recall"]) == (0.3, 0.2)


def test_where_no_annotator_compared_both_there_is_no_gain(layout: Layout) -> None:
    file = layout.evaluation("rival") / "annotations.json"
    write_json(file, [{**row, "annotator": "llm"} for row in read_json(file)])
    row = report.read_rows(layout, ["1", "2"])[3]
    assert row["over_seed"] == pytest.approx((0.3 - 0.8 + 1.0) / 3)  # two lack a verdict
    assert row["over_rival"] is None


def test_a_gain_is_the_rounds_win_rate_minus_the_other_policys(layout: Layout) -> None:
    """Round 2 wins every prompt, the seed none, and the rival ties them."""
    for name, preference in (("0", 1.0), ("2", 2.0), ("rival", 1.5)):
        file = layout.evaluation(name) / "annotations.json"
        write_json(file, [{**row, "preference": preference} for row in read_json(file)])
    rows = {row["round"]: row for row in report.read_rows(layout, ["1", "2"])}
    assert (rows["2"]["over_seed"], rows["2"]["over_rival"]) == (1.0, 0.5)
    assert rows["2"]["over_rival_low"] == rows["2"]["over_rival_high"] == 0.5
    assert (rows["0"]["over_seed"], rows["0"]["over_rival"]) == (None, -0.5)
    assert rows["rival"]["over_seed"] is None
