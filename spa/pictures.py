"""The report's pictures: win rate by round, gold against KL, training curves, calibration."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spa.files import read_json, read_table
from spa.layout import Layout
from spa.records import TrainingRow

Row = dict[str, Any]


def draw_win_rate(rows: Sequence[Row], file: Path) -> None:
    """Win rate by round, with intervals, over the base or the reference; the rival as a band."""
    figure, axes = _canvas()
    rounds = [row for row in rows if row["round"].isdigit()]
    at = [int(row["round"]) for row in rounds]
    means = [row["win_rate"] for row in rounds]
    errors = [
        [row["win_rate"] - row["win_rate_low"] for row in rounds],
        [row["win_rate_high"] - row["win_rate"] for row in rounds],
    ]
    rival = next(row for row in rows if row["round"] == "rival")
    axes.axhspan(rival["win_rate_low"], rival["win_rate_high"], color="tab:orange", alpha=0.15)
    axes.axhline(rival["win_rate"], color="tab:orange", linestyle="--", label="rival (no rounds)")
    base = next(row for row in rows if row["round"] == "base")
    axes.axhline(base["win_rate"], color="grey", linewidth=1, label="base")
    axes.errorbar(at, means, yerr=errors, marker="o", capsize=4, label="policy of the round")
    axes.set(
        xlabel="round", ylabel=f"win rate over the {base['against']} (test prompts)", xticks=at
    )
    axes.legend(frameon=False)
    _save(figure, file)


def draw_reward_kl(rows: Sequence[Row], file: Path) -> None:
    """Gold reward, or win rate where the annotator has none, against the square root of KL to the
    base, one point per policy."""
    figure, axes = _canvas()
    rated = all(row["gold_reward"] is not None for row in rows)
    points = {
        row["round"]: (
            math.sqrt(max(row["kl_to_base"] or 0.0, 0.0)),
            row["gold_reward" if rated else "win_rate"],
        )
        for row in rows
    }
    path = [points[name] for name in points if name != "rival"]
    axes.plot(*zip(*path, strict=True), marker="o", label="base and rounds")
    axes.plot(*points["rival"], marker="D", linestyle="", color="tab:orange", label="rival")
    for name, point in points.items():
        text = f"round {name}" if name.isdigit() else name
        axes.annotate(text, point, xytext=(6, -12), textcoords="offset points", fontsize=9)
    gold = "gold reward (the annotator's score)" if rated else "win rate"
    axes.set(xlabel="sqrt(KL to the base), nats per answer", ylabel=gold)
    axes.margins(x=0.15, y=0.15)
    axes.legend(frameon=False)
    _save(figure, file)


def draw_training(layout: Layout, rounds: Sequence[str], file: Path) -> None:
    """Loss, margin and reward accuracy by step, one line per round."""
    figure, panels = _canvas(3)
    for name in ["0", *rounds]:
        steps: dict[int, list[TrainingRow]] = {}
        for row in read_table(layout.training_log(name), TrainingRow):
            steps.setdefault(row.step, []).append(row)
        for axes, curve in zip(panels, _curves(list(steps.values())), strict=True):
            axes.plot(list(steps), curve, label=f"round {name}")
    for axes, title in zip(
        panels, ("loss (nats)", "margin (beta x nats)", "reward accuracy"), strict=True
    ):
        axes.set(xlabel="step", title=title)
    panels[0].legend(frameon=False)
    _save(figure, file)


def draw_calibration(layout: Layout, rounds: Sequence[str], file: Path) -> None:
    """How sure each round's judge may be, and how right it is on its surest pairs."""
    figure, (sure, covered) = _canvas(2)
    sure.plot([0.5, 1], [0.5, 1], color="grey", linewidth=1, linestyle="--")
    covered.axhline(0.5, color="grey", linewidth=1, linestyle="--")
    for name in rounds:
        figures = read_json(layout.calibration(name) / "metrics.json")
        for axes, key in ((sure, "reliability"), (covered, "coverage")):
            points = [(bucket["mean"], bucket["accuracy"]) for bucket in figures.get(key, [])]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label=f"round {name}")
                axes.legend(frameon=False)
    sure.set(xlabel="probability, by the other half's temperature", ylabel="share right")
    covered.set(xlabel="share of the pairs, surest first", ylabel="share right")
    _save(figure, file)


def _curves(steps: Sequence[Sequence[TrainingRow]]) -> list[list[float]]:
    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    return [
        [mean([row.loss for row in rows]) for rows in steps],
        [mean([row.margin for row in rows]) for rows in steps],
        [mean([float(row.margin > 0) for row in rows]) for rows in steps],
    ]


def _canvas(panels: int = 1) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    size = (6.4, 4.2) if panels == 1 else (4 * panels, 3.4)
    figure, axes = plt.subplots(1, panels, figsize=size, dpi=120, layout="constrained")
    for one in [axes] if panels == 1 else axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25)
    return figure, axes


def _save(figure: Any, file: Path) -> None:
    from matplotlib import pyplot as plt

    figure.savefig(file, format="png", metadata={"Software": None})
    plt.close(figure)
