"""The report: the promised keys, sentences that follow from the figures, equal bytes."""

from pathlib import Path
from typing import Any

import pytest

from spa import report
from spa.errors import ArtefactError
from spa.files import write_json, write_table
from spa.layout import Layout
from spa.records import TrainingRow

PROMISED = {
    "round", "win_rate", "win_rate_low", "win_rate_high", "annotator", "heldout_accuracy",
    "judge_accuracy", "kl_to_base", "mean_tokens", "finished", "kept", "flagged",
}  # fmt: skip


def _evaluation(layout: Layout, name: str, win: float, development: float, **extra: Any) -> None:
    metrics = {
        "annotator": "rubric", "n": 100, "win_rate": win, "win_rate_low": win - 0.05,
        "win_rate_high": win + 0.05, "heldout_accuracy": None, "kl_to_base": win * 4 - 2,
        "gold_reward": win, "mean_tokens": 40.0, "mean_words": 30.0, "finished": 0.5,
        "development": {"n": 40, "win_rate": development}, **extra,
    }  # fmt: skip
    write_json(layout.evaluation(name) / "metrics.json", metrics)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    for name, win, development in (
        ("base", 0.5, 0.5), ("0", 0.55, 0.6), ("1", 0.7, 0.9), ("2", 0.8, 0.9), ("7", 0.9, 1.0),
    ):  # fmt: skip
        _evaluation(layout, name, win, development)
    _evaluation(layout, "rival", 0.78, 0.8, gamma=4.0)
    for name in ("1", "2"):
        judged = {
            "judge_accuracy": 0.7, "judge_accuracy_low": 0.6, "judge_accuracy_high": 0.8,
            "likelihood_accuracy": 0.6, "length_accuracy": 0.5,
            "reliability": [{"mean": 0.6, "accuracy": 0.7}, {"mean": 0.8, "accuracy": 0.75}],
            "coverage": [{"mean": 0.5, "accuracy": 0.8}, {"mean": 1.0, "accuracy": 0.7}],
        }  # fmt: skip
        write_json(layout.calibration(name) / "metrics.json", judged)
        write_json(layout.checks(name), {"kept": 60, "flagged": 4})
    for name in ("0", "1", "2"):
        row: dict[str, Any] = {
            "pair_id": "p", "loss": 0.5, "margin": 0.2, "extrapolated_margin": None,
            "confidence": 0.6, "threshold": None, "flagged": False, "refined": False,
            "learning_rate": 1e-5,
        }  # fmt: skip
        log = [TrainingRow(step=step, **row) for step in range(5)]
        write_table(layout.training_log(name), log, TrainingRow)
    return layout


def test_rows_have_the_promised_keys_and_leftover_rounds_are_not_read(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    assert [row["round"] for row in rows] == ["base", "0", "1", "2", "rival"]
    assert all(row.keys() >= PROMISED for row in rows)
    assert rows[0]["judge_accuracy"] is None
    assert (rows[2]["judge_accuracy"], rows[2]["kept"]) == (0.7, 60)


def test_the_recommended_round_is_the_earliest_best_on_development(layout: Layout) -> None:
    summary = report.summary(report.read_rows(layout, ["1", "2"]))
    assert summary["recommended_round"] == "1"


def test_a_missing_evaluation_is_an_error(layout: Layout) -> None:
    with pytest.raises(ArtefactError, match=r"evaluation/3/metrics.json: not found"):
        report.read_rows(layout, ["1", "2", "3"])


def test_the_words_follow_the_figures(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    text = " ".join(report.in_words(rows))
    assert "won 25.0% win rate over the seed policy; by their intervals round 2 is told" in text
    assert "(gamma 4), has 78.0%; round 2 is not told apart from it" in text
    rows[-1] |= {"win_rate": 0.6, "win_rate_low": 0.55, "win_rate_high": 0.65}
    assert "round 2 beats it" in " ".join(report.in_words(rows))
    rows[-1] |= {"win_rate": 0.95, "win_rate_low": 0.9, "win_rate_high": 1.0}
    assert "is beaten by it" in " ".join(report.in_words(rows))


def test_csv_and_table_hold_every_round(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    lines = report.to_csv(rows).splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["-1", "base", "0.5"], ["0", "0", "0.55"], ["1", "1", "0.7"], ["2", "2", "0.8"],
    ]  # fmt: skip
    table = report.to_table(rows).splitlines()
    assert len({len(line) for line in table}) == 1
    assert "80.0% [75.0%, 85.0%]" in table[5]


def test_equal_figures_are_equal_pictures(layout: Layout, tmp_path: Path) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    for name in ("a", "b"):
        report.draw_win_rate(rows, tmp_path / f"{name}1")
        report.draw_reward_kl(rows, tmp_path / f"{name}2")
        report.draw_training(layout, ["1", "2"], tmp_path / f"{name}3")
    for number in "123":
        assert (tmp_path / f"a{number}").read_bytes() == (tmp_path / f"b{number}").read_bytes()
    rows[3]["win_rate"] = 0.79
    report.draw_win_rate(rows, tmp_path / "c1")
    assert (tmp_path / "c1").read_bytes() != (tmp_path / "a1").read_bytes()


def test_words_about_a_judge_follow_from_its_interval(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    good, _ = report.judges_in_words(rows, flipped=0.0)
    assert good.startswith("The judge of round 1 is right on 70.0% [60.0%, 80.0%] of its pairs")
    assert "better than chance, and above the better of likelihood and length (60.0%)" in good
    rows[2] |= {"judge_accuracy": 0.55, "judge_accuracy_low": 0.45, "judge_accuracy_high": 0.65}
    rows[3] |= {"judge_accuracy": 0.3, "judge_accuracy_low": 0.2, "judge_accuracy_high": 0.4}
    poor, bad, flips = report.judges_in_words(rows, flipped=0.4)
    assert "not told apart from chance, and no better than the better of" in poor
    assert "worse than chance" in bad
    assert flips.startswith("40% of the seed's labels were turned round on purpose")


def test_calibration_is_drawn_also_of_a_round_without_figures(
    layout: Layout, tmp_path: Path
) -> None:
    report.draw_calibration(layout, ["1", "2"], tmp_path / "two.png")
    write_json(layout.calibration("2") / "metrics.json", {"judge_accuracy": None})
    report.draw_calibration(layout, ["1", "2"], tmp_path / "one.png")
    assert (tmp_path / "two.png").read_bytes() != (tmp_path / "one.png").read_bytes()


def test_what_round_zeros_detector_made_of_turned_labels_is_said(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    noise = {"n": 40, "wrong_share": 0.4, "auroc": 0.61}
    said = " ".join(report.judges_in_words(rows, flipped=0.4, noise=noise))
    assert "40% of the seed's labels were turned round" in said
    assert "AUROC of 0.61" in said
    assert "AUROC" not in " ".join(report.judges_in_words(rows, flipped=0.4))
