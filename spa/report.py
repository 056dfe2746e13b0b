"""The report: one row per policy, what it says in words, and its pictures."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spa.files import read_json, read_table
from spa.layout import Layout
from spa.records import TrainingRow

EVALUATION = (
    "win_rate",
    "win_rate_low",
    "win_rate_high",
    "annotator",
    "n",
    "heldout_accuracy",
    "kl_to_base",
    "gold_reward",
    "mean_tokens",
    "mean_words",
    "finished",
)
CALIBRATION = (
    "judge_accuracy",
    "judge_accuracy_low",
    "judge_accuracy_high",
    "likelihood_accuracy",
    "length_accuracy",
    "label_accuracy",
    "auroc",
    "brier",
)
CHECKS = ("kept", "flagged")

Row = dict[str, Any]


def read_rows(layout: Layout, rounds: Sequence[str]) -> list[Row]:
    """One row per policy, in order: base, 0, the rounds of params.yaml, rival.

    What a policy has no figure for is None. Folders of rounds that params.yaml does not have
    (any more) are not read.

    Raises:
        ArtefactError: an evaluation is missing.
    """
    return [_row(layout, name) for name in ["base", "0", *rounds, "rival"]]


def _row(layout: Layout, name: str) -> Row:
    metrics = read_json(layout.evaluation(name) / "metrics.json")
    calibration = layout.calibration(name) / "metrics.json"
    judged = read_json(calibration) if calibration.exists() else {}
    checked = read_json(layout.checks(name)) if layout.checks(name).exists() else {}
    row: Row = {"round": name}
    row |= {key: metrics.get(key) for key in EVALUATION}
    row["development_win_rate"] = metrics["development"].get("win_rate")
    row |= {key: judged.get(key) for key in CALIBRATION}
    row |= {key: checked.get(key) for key in CHECKS}
    if "gamma" in metrics:
        row["gamma"] = metrics["gamma"]
    return row


def recommend(rows: Sequence[Row]) -> str:
    """The round with the highest win rate on development prompts; the earlier one at a tie."""
    trained = [row for row in rows if row["round"].isdigit()]
    best = max(trained, key=lambda row: (row["development_win_rate"] or 0.0, -int(row["round"])))
    return str(best["round"])


def in_words(rows: Sequence[Row]) -> list[str]:
    """What the table says, in sentences."""
    by_name = {row["round"]: row for row in rows}
    last = max((name for name in by_name if name.isdigit()), key=int)
    seed, end, rival = by_name["0"], by_name[last], by_name["rival"]
    gain = end["win_rate"] - seed["win_rate"]
    told = "told apart from" if _apart(seed, end) else "not told apart from"
    won = "won" if gain > 0 else "lost" if gain < 0 else "changed"
    sentences = [
        f"The rounds {won} {abs(gain):.1%} win rate over the seed policy; by their intervals round "
        f"{last} is {told} round 0."
    ]
    if not _apart(end, rival):
        verdict = "is not told apart from it: the rounds have not shown that they earn their cost"
    elif end["win_rate"] > rival["win_rate"]:
        verdict = "beats it"
    else:
        verdict = "is beaten by it: the rounds did not earn their cost"
    sentences.append(
        f"The cheap rival, the seed policy amplified without training (gamma "
        f"{rival.get('gamma', 0):g}), has {rival['win_rate']:.1%}; round {last} {verdict}."
    )
    sentences.append(
        f"Recommended: round {recommend(rows)}, the best on development prompts (its test figures "
        "took no part in the choice)."
    )
    return sentences


def judges_in_words(rows: Sequence[Row], *, flipped: float, noise: Row | None = None) -> list[str]:
    """What calibration found about each round's judge, in sentences.

    Args:
        rows: from `read_rows`.
        flipped: share of the seed's labels that were turned round (`split.flip_seed_labels`).
        noise: what round 0's noise detector made of them (`calibration.seed_noise`).
    """
    sentences = []
    for row in rows:
        if row["judge_accuracy"] is None:
            continue
        low, high = row["judge_accuracy_low"], row["judge_accuracy_high"]
        sure = (
            "better than chance"
            if low > 0.5
            else "worse than chance"
            if high < 0.5
            else "not told apart from chance"
        )
        rivals = max(row["likelihood_accuracy"], row["length_accuracy"])
        beside = "above" if row["judge_accuracy"] > rivals else "no better than"
        sentences.append(
            f"The judge of round {row['round']} is right on {row['judge_accuracy']:.1%} "
            f"[{low:.1%}, {high:.1%}] of its pairs: {sure}, and {beside} the better of likelihood "
            f"and length ({rivals:.1%})."
        )
    if flipped and sentences:
        sentences.append(
            f"{flipped:.0%} of the seed's labels were turned round on purpose; these judges "
            "learnt from them."
        )
    if noise and noise["auroc"] is not None:
        sentences.append(
            f"Of the {noise['n']} seed pairs that round 0's noise detector looked at, "
            f"{noise['wrong_share']:.0%} have a turned label; its confidence ranks them with an "
            f"AUROC of {noise['auroc']:.2f} (0.5 is chance)."
        )
    return sentences


def _apart(first: Row, second: Row) -> bool:
    """Whether two win rates' intervals do not overlap."""
    return bool(
        first["win_rate_high"] < second["win_rate_low"]
        or second["win_rate_high"] < first["win_rate_low"]
    )


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV; `step` places the policies on an axis: base -1, rounds, no rival."""
    out = io.StringIO()
    plotted = [row for row in rows if row["round"] != "rival"]
    writer = csv.DictWriter(out, ["step", *plotted[0]], lineterminator="\n")
    writer.writeheader()
    for row in plotted:
        writer.writerow({"step": -1 if row["round"] == "base" else row["round"], **row})
    return out.getvalue()


def to_table(rows: Sequence[Row]) -> str:
    """The rows as fixed-width text, for a terminal."""
    header = ["round", "win rate [95 %]", "held-out", "judge", "likelih.", "KL", "tokens"]
    header += ["finished", "kept", "flagged"]
    lines = [header, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def _cells(row: Row) -> list[str]:
    def percent(key: str) -> str:
        return "-" if row[key] is None else f"{row[key]:.1%}"

    def number(key: str, digits: int) -> str:
        return "-" if row[key] is None else f"{row[key]:.{digits}f}"

    interval = f"[{row['win_rate_low']:.1%}, {row['win_rate_high']:.1%}]"
    return [
        row["round"],
        f"{percent('win_rate')} {interval}",
        percent("heldout_accuracy"),
        percent("judge_accuracy"),
        percent("likelihood_accuracy"),
        number("kl_to_base", 2),
        number("mean_tokens", 1),
        percent("finished"),
        number("kept", 0),
        number("flagged", 0),
    ]


def draw_win_rate(rows: Sequence[Row], file: Path) -> None:
    """Win rate over the base by round, with intervals; the rival as a band."""
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
    axes.axhline(0.5, color="grey", linewidth=1, label="base")
    axes.errorbar(at, means, yerr=errors, marker="o", capsize=4, label="policy of the round")
    axes.set(xlabel="round", ylabel="win rate over the base (test prompts)", xticks=at)
    axes.legend(frameon=False)
    _save(figure, file)


def draw_reward_kl(rows: Sequence[Row], file: Path) -> None:
    """Gold reward against the square root of KL to the base, one point per policy."""
    figure, axes = _canvas()
    points = {
        row["round"]: (math.sqrt(max(row["kl_to_base"] or 0.0, 0.0)), row["gold_reward"])
        for row in rows
    }
    path = [points[name] for name in points if name != "rival"]
    axes.plot(*zip(*path, strict=True), marker="o", label="base and rounds")
    axes.plot(*points["rival"], marker="D", linestyle="", color="tab:orange", label="rival")
    for name, point in points.items():
        text = f"round {name}" if name.isdigit() else name
        axes.annotate(text, point, xytext=(6, -12), textcoords="offset points", fontsize=9)
    axes.set(xlabel="sqrt(KL to the base), nats per answer", ylabel="gold reward (0 to 1)")
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


def summary(rows: Sequence[Row]) -> Mapping[str, Any]:
    """What summary.json holds."""
    return {"rounds": list(rows), "recommended_round": recommend(rows)}
