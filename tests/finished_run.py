"""What the report, its page and its pictures read of a finished pipeline, made up for tests."""

from collections.abc import Sequence
from typing import Any

from spa.digest import digest
from spa.files import write_json
from spa.layout import Layout
from spa.records import FlaggedPair, JudgedPair, TrainingRow
from spa.tables import write_table

POLICIES = (
    ("base", 0.5, 0.5), ("0", 0.55, 0.6), ("1", 0.7, 0.9), ("2", 0.8, 0.9), ("7", 0.9, 1.0),
    ("rival", 0.78, 0.8),
)  # fmt: skip
PREFERENCES = (1.0, 1.5, 2.0, 1.8, None)
"""The verdicts on the five test prompts, the base's; every policy's begin one later."""


def write_finished_run(
    layout: Layout, *, rounds: Sequence[str] = ("1", "2"), answer: str = "an answer"
) -> Layout:
    """Base, rounds 0 to 2, a leftover round 7 and the rival, with figures that are made up.

    Args:
        layout: where.
        rounds: those that have a calibration and a digest.
        answer: what every policy said, its name apart.
    """
    for name, win, development in POLICIES:
        _evaluation(layout, name, win, development, answer)
    for name in rounds:
        _calibration(layout, name, answer)
    for name in ("0", *rounds):
        write_table(layout.training_log(name), training_log(), TrainingRow)
    return layout


def training_log() -> list[TrainingRow]:
    """Five steps of two pairs each."""
    row: dict[str, Any] = {
        "loss": 0.5, "extrapolated_margin": None, "confidence": 0.6, "threshold": None,
        "flagged": False, "refined": False, "learning_rate": 1e-5,
    }  # fmt: skip
    return [
        TrainingRow(step=step, pair_id=f"p{n}", margin=step - n, **row)
        for step in range(5)
        for n in (0, 1)
    ]


def judged_pair(number: int, answer: str = "an answer") -> JudgedPair:
    """A labelled pair; every prompt and answer of it names its number."""
    return JudgedPair(
        pair_id=f"p{number}",
        prompt_id=f"q{number}",
        prompt=[{"role": "user", "content": f"Question {number}? {answer}"}],
        chosen=f"chosen {number} {answer}",
        rejected=f"rejected {number} {answer}",
        chosen_finish_reason="stop",
        rejected_finish_reason="length",
        chosen_id=f"a{number}",
        rejected_id=f"b{number}",
        margin=1.0 + number,
        probability=0.6,
        method="implicit",
    )


def flagged_pair(number: int, reasons: list[str], action: str, **text: Any) -> FlaggedPair:
    return FlaggedPair(**judged_pair(number, **text).row(), reasons=reasons, action=action)


def _rate(win: float, count: int) -> dict[str, float]:
    return {"win_rate": win, "win_rate_low": win - 0.05, "win_rate_high": win + 0.05, "n": count}


NULL = {
    "null_win_rate": {"rubric": 0.1, "llm": 0.6},
    "null_interval": {"rubric": _rate(0.1, 40), "llm": _rate(0.6, 38)},
}
"""What annotators make of a constant answer."""


def _evaluation(layout: Layout, name: str, win: float, development: float, answer: str) -> None:
    metrics = {
        "annotator": "rubric", "against": "base", "n": 100, "win_rate": win,
        "win_rate_low": win - 0.05, "win_rate_high": win + 0.05,
        "heldout_accuracy": None, "kl_to_base": win * 4 - 2,
        "gold_reward": win, "mean_tokens": 40.0, "mean_words": 30.0, "finished": 0.5,
        "development": {"n": 40, "win_rate": development},
        "annotators": {"rubric": _rate(win, 100), "llm": _rate(win / 2, 90)},
        "agreement": [{"annotators": ["rubric", "llm"], "agreement": 0.75, "n": 80}],
        "kl_to_base_low": win * 4 - 2.1, "kl_to_base_high": win * 4 - 1.9,
        **({"gamma": 4.0} if name == "rival" else {}),
        **(NULL if name == "base" else {}),
    }  # fmt: skip
    write_json(layout.evaluation(name) / "metrics.json", metrics)
    shift = [policy for policy, *_ in POLICIES].index(name)
    prompts = [("development", 9), *(("test", number) for number in range(5))]
    outputs = [
        {
            "dataset": pool, "prompt_id": f"q{n}", "instruction": f"Question {n}?",
            "output": f"{name} says {answer}", "finish_reason": "stop", "tokens": 10 + n,
        }
        for pool, n in prompts
    ]  # fmt: skip
    annotations = [
        {
            "dataset": pool, "prompt_id": f"q{n}", "output_1": f"reference {n}",
            "preference": PREFERENCES[(n + shift) % 5], "score": n / 10, "annotator": "rubric",
            "generator_1": "base",
        }
        for pool, n in prompts
    ]  # fmt: skip
    write_json(layout.evaluation(name) / "outputs.json", outputs)
    write_json(layout.evaluation(name) / "annotations.json", annotations)


def _calibration(layout: Layout, name: str, answer: str) -> None:
    judged = {
        "method": "implicit", "n": 60, "auroc": 0.7, "brier": 0.2, "noise": None,
        "judge_accuracy": 0.7, "judge_accuracy_low": 0.6, "judge_accuracy_high": 0.8,
        "likelihood_accuracy": 0.6, "length_accuracy": 0.5,
        "label_gap": 0.12, "label_gap_low": 0.05, "label_gap_high": 0.2,
        "reliability": [
            {"mean": 0.6, "accuracy": 0.7, "n": 4}, {"mean": 0.8, "accuracy": 0.75, "n": 4},
        ],
        "coverage": [
            {"mean": 0.5, "accuracy": 0.8, "n": 4}, {"mean": 1.0, "accuracy": 0.7, "n": 4},
        ],
    }  # fmt: skip
    kept = [judged_pair(number, answer) for number in range(60)]
    flagged = [
        flagged_pair(3, ["cut:rejected"], "warn", answer=answer),
        *(flagged_pair(n, ["identical", "tie"], "drop", answer=answer) for n in (60, 61, 62)),
    ]
    gold = {f"p{number}": (0.0, 0.5, 1.0)[number % 3] for number in range(63)}
    rows = [{"pair_id": p, "judge": 0.1 * n, "gold": g} for n, (p, g) in enumerate(gold.items())]
    write_json(layout.calibration(name) / "metrics.json", judged)
    write_json(layout.calibration(name) / "pairs.json", rows)
    write_json(layout.digest(name), digest(kept, flagged, gold, training_log()))
