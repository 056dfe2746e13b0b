"""What the report and its pictures read of a finished pipeline, made up for their tests."""

from typing import Any

from spa.files import write_json, write_table
from spa.layout import Layout
from spa.records import TrainingRow


def _evaluation(layout: Layout, name: str, win: float, development: float, **extra: Any) -> None:
    metrics = {
        "annotator": "rubric", "against": "base", "n": 100, "win_rate": win,
        "win_rate_low": win - 0.05, "win_rate_high": win + 0.05,
        "heldout_accuracy": None, "kl_to_base": win * 4 - 2,
        "gold_reward": win, "mean_tokens": 40.0, "mean_words": 30.0, "finished": 0.5,
        "development": {"n": 40, "win_rate": development}, **extra,
    }  # fmt: skip
    write_json(layout.evaluation(name) / "metrics.json", metrics)


def write_finished_run(layout: Layout) -> Layout:
    """Base, rounds 0 to 2, a leftover round 7 and the rival, with figures that are made up."""
    for name, win, development in (
        ("base", 0.5, 0.5), ("0", 0.55, 0.6), ("1", 0.7, 0.9), ("2", 0.8, 0.9), ("7", 0.9, 1.0),
    ):  # fmt: skip
        _evaluation(layout, name, win, development)
    _evaluation(layout, "rival", 0.78, 0.8, gamma=4.0)
    for name in ("1", "2"):
        judged = {
            "judge_accuracy": 0.7, "judge_accuracy_low": 0.6, "judge_accuracy_high": 0.8,
            "likelihood_accuracy": 0.6, "length_accuracy": 0.5,
            "label_gap": 0.12, "label_gap_low": 0.05, "label_gap_high": 0.2,
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
