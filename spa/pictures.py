"""The report's pictures: what each shows of the figures, in a drawing and in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from spa.drawing import (
    GRID,
    HEIGHT,
    MUTED,
    RIVAL,
    SERIES,
    WRONG,
    Plot,
    colour_of,
    legend_above,
    legend_inside,
)

Row = Mapping[str, Any]
Curves = Mapping[str, Sequence[float]]

BINS = 30


def name_of(round: str) -> str:
    """A policy's name in a picture or text."""
    return f"round {round}" if round.isdigit() else round


def win_rate(rows: Sequence[Row]) -> Plot:
    """Win rate by round, with intervals, over the base or the reference; the rival as a band."""
    rounds = [row for row in rows if row["round"].isdigit()]
    base, rival = _row(rows, "base"), _row(rows, "rival")
    means = [row["win_rate"] for row in rounds]
    errors = [
        [row["win_rate"] - row["win_rate_low"] for row in rounds],
        [row["win_rate_high"] - row["win_rate"] for row in rounds],
    ]
    at = [int(row["round"]) for row in rounds]

    def draw(axes: Any) -> None:
        axes.axhspan(rival["win_rate_low"], rival["win_rate_high"], color=RIVAL, alpha=0.15)
        axes.axhline(rival["win_rate"], color=RIVAL, linestyle="--", label="rival (no rounds)")
        axes.axhline(base["win_rate"], color=MUTED, linewidth=1, label="base")
        style = {"marker": "o", "capsize": 4, "color": SERIES[0]}
        axes.errorbar(at, means, yerr=errors, label="policy of the round", **style)
        axes.set(xlabel="round", ylabel=f"win rate over the {base['against']}", xticks=at)
        axes.margins(x=0.1)
        legend_above(axes)

    said = "; ".join(
        f"{name_of(row['round'])} {row['win_rate']:.1%} "
        f"[{row['win_rate_low']:.1%}, {row['win_rate_high']:.1%}]"
        for row in [*rounds, rival]
    )
    return Plot(f"Win rate over the {base['against']}, test prompts", f"Win rates: {said}.", draw)


def reward_kl(rows: Sequence[Row]) -> Plot:
    """Gold reward, or win rate where the annotator has none, against the square root of KL to the
    base, one point per policy."""
    rated = all(row["gold_reward"] is not None for row in rows)
    what = "gold reward" if rated else "win rate"
    points = {
        row["round"]: (
            math.sqrt(max(row["kl_to_base"] or 0.0, 0.0)),
            row["gold_reward" if rated else "win_rate"],
        )
        for row in rows
    }
    path = [name for name in points if name != "rival"]

    def draw(axes: Any) -> None:
        axes.plot(*zip(*(points[name] for name in path), strict=True), color=MUTED, linewidth=1)
        for name, point in points.items():
            axes.plot(*point, marker="D" if name == "rival" else "o", color=colour_of(name))
            below = _lies_below(point, [other for n, other in points.items() if n != name])
            offset = {"xytext": (5, -11 if below else 5), "textcoords": "offset points"}
            axes.annotate(name_of(name), point, fontsize=8, **offset)
        axes.set(xlabel="sqrt(KL to the base), nats per answer", ylabel=what)
        axes.margins(x=0.18, y=0.15)

    said = "; ".join(f"{name_of(name)} {x:.2f}, {y:.3f}" for name, (x, y) in points.items())
    title = f"What the {what} costs in drift"
    return Plot(title, f"Square root of KL to the base and {what} by policy: {said}.", draw)


def _lies_below(point: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    """Whether a point lies below its nearest neighbour, so that their labels keep apart."""
    spread = [max(axis) - min(axis) or 1.0 for axis in zip(point, *others, strict=True)]

    def distance(other: tuple[float, float]) -> float:
        return sum(((a - b) / s) ** 2 for a, b, s in zip(point, other, spread, strict=True))

    return point[1] < min(others, key=distance)[1]


def training(curves: Mapping[str, Curves]) -> list[Plot]:
    """Loss, margin and reward accuracy by step, one line per round.

    Args:
        curves: by round, as `digest.curves` gives them; one without steps is left out.
    """
    return [
        _curve(curves, "loss", "Loss", "nats"),
        _curve(curves, "margin", "Margin", "beta x nats"),
        _curve(curves, "reward_accuracy", "Reward accuracy", "share of the pairs"),
    ]


def _curve(curves: Mapping[str, Curves], key: str, title: str, unit: str) -> Plot:
    drawn = {name: own for name, own in curves.items() if own["step"]}

    def draw(axes: Any) -> None:
        for name, own in drawn.items():
            style = {"color": colour_of(name), "linewidth": 1.2}
            marker = "." if len(own["step"]) < BINS else ""
            axes.plot(own["step"], own[key], label=name_of(name), marker=marker, **style)
        axes.set(xlabel="step", ylabel=unit)
        if drawn:
            legend_inside(axes, len(drawn))

    said = "; ".join(
        f"{name_of(name)} from {own[key][0]:.3f} to {own[key][-1]:.3f} in {len(own[key])} steps"
        for name, own in drawn.items()
    )
    return Plot(f"{title} by step", f"{title}: {said or 'nothing was trained'}.", draw)


def calibration(judged: Mapping[str, Row]) -> list[Plot]:
    """How sure each round's judge may be, and where it is right: on its surest pairs, by its
    margin and by what the preferred answer is longer.

    Args:
        judged: by round, the figures of `calibration.summarise`.
    """

    def sure(axes: Any) -> None:
        axes.plot([0.5, 1], [0.5, 1], color=MUTED, linewidth=1, linestyle="--")
        _buckets(axes, judged, "reliability")
        axes.set(xlabel="probability, by the other half's temperature", ylabel="share right")

    def covered(axes: Any) -> None:
        axes.axhline(0.5, color=MUTED, linewidth=1, linestyle="--")
        _buckets(axes, judged, "coverage")
        axes.set(xlabel="share of the pairs, surest first", ylabel="share right")

    def ranked(axes: Any) -> None:
        axes.axhline(0.5, color=MUTED, linewidth=1, linestyle="--")
        _buckets(axes, judged, "by_margin")
        axes.set(xlabel="margin in nats, mean of a quarter of the pairs", ylabel="share right")

    def longer(axes: Any) -> None:
        axes.axhline(0.5, color=MUTED, linewidth=1, linestyle="--")
        axes.axvline(0, color=MUTED, linewidth=1, linestyle="--")
        _buckets(axes, judged, "by_length")
        axes.set(xlabel="tokens by which the preferred answer is longer", ylabel="share right")

    return [
        Plot(title, _buckets_in_words(judged, key), draw)
        for title, key, draw in (
            ("How sure the judge may be", "reliability", sure),
            ("How right it is on its surest pairs", "coverage", covered),
            ("How right it is by its margin", "by_margin", ranked),
            ("How right it is by length", "by_length", longer),
        )
    ]


def _buckets(axes: Any, judged: Mapping[str, Row], key: str) -> None:
    """A line a round; a dot is as large as its share of the pairs, as some hold few."""
    for name, figures in judged.items():
        if found := figures.get(key, []):
            x, y = ([bucket[axis] for bucket in found] for axis in ("mean", "accuracy"))
            most = max(bucket["n"] for bucket in found)
            axes.plot(x, y, label=name_of(name), color=colour_of(name), linewidth=1.2)
            sizes = [6 + 24 * bucket["n"] / most for bucket in found]
            axes.scatter(x, y, s=sizes, color=colour_of(name))
            legend_inside(axes, len(judged))


def _buckets_in_words(judged: Mapping[str, Row], key: str) -> str:
    what = {
        "reliability": "Share right by probability",
        "coverage": "Share right by coverage",
        "by_margin": "Share right by margin in nats",
        "by_length": "Share right by tokens that the preferred answer is longer",
    }
    said = "; ".join(
        f"{name_of(name)}: "
        + ", ".join(
            f"{b['mean']:.2f} {b['accuracy']:.0%} of {b['n']}" for b in figures.get(key, [])
        )
        for name, figures in judged.items()
        if figures.get(key)
    )
    return f"{what[key]}: {said or 'nothing to compare'}."


def margins(pairs: Mapping[str, Sequence[Row]]) -> Plot:
    """The judge's margins by round, those of wrong labels on top of the others.

    Args:
        pairs: by round, the rows of `calibration.calibrate`.
    """
    right = {n: [row["judge"] for row in rows if row["gold"] >= 0.5] for n, rows in pairs.items()}
    wrong = {n: [row["judge"] for row in rows if row["gold"] < 0.5] for n, rows in pairs.items()}
    said = "; ".join(
        f"{name_of(name)} median {_median([*right[name], *wrong[name]])} nats, "
        f"{len(wrong[name])} of {len(rows)} labels wrong"
        for name, rows in pairs.items()
    )
    return _ridges(
        "Margins of the labels (nats)", f"Margins: {said or 'no pairs'}.", right, wrong,
        ("annotator agrees or ties", "annotator disagrees"), "margin, nats",
    )  # fmt: skip


def lengths(characters: Mapping[str, Sequence[int]]) -> Plot:
    """Lengths of the answers to the test prompts, by policy.

    Args:
        characters: by policy, the length of each answer, as the length guard counts it.
    """
    said = "; ".join(f"{name_of(n)} median {_median(own)}" for n, own in characters.items())
    title, alt = "Lengths of the test answers (characters)", f"Characters: {said}."
    return _ridges(title, alt, characters, {}, ("", ""), "characters")


def _ridges(
    title: str,
    alt: str,
    values: Mapping[str, Sequence[float]],
    above: Mapping[str, Sequence[float]],
    labels: tuple[str, str],
    unit: str,
) -> Plot:
    """One histogram per policy, the first on top; `above` is stacked on `values`."""
    import numpy as np

    names = list(values)[::-1]
    known = [value for own in (*values.values(), *above.values()) for value in own]
    edges = np.histogram_bin_edges(known or [0.0, 1.0], bins=BINS)

    def draw(axes: Any) -> None:
        for floor, name in enumerate(names):
            low = np.histogram(values[name], edges)[0]
            high = low + np.histogram(above.get(name, []), edges)[0]
            scale = 0.85 / max(high.max(), 1)
            parts = ((low * 0, low, colour_of(name), 0), (low, high, WRONG, 1))
            for bottom, top, colour, which in parts:
                colour = SERIES[0] if labels[0] and not which else colour
                style = {"color": colour, "alpha": 0.8, "fill": True}
                style["label"] = labels[which] if floor == 0 and labels[which] else None
                ends = floor + bottom * scale
                axes.stairs(floor + top * scale, edges, baseline=ends, **style)
            axes.axhline(floor, color=GRID, linewidth=0.8)
        axes.set(xlabel=unit, ylim=(-0.1, max(len(names), 1) + 0.05))
        axes.set_yticks(range(len(names)), [name_of(name) for name in names])
        axes.grid(axis="y", visible=False)
        if labels[0] and known:
            legend_above(axes)

    return Plot(title, alt, draw, height=max(HEIGHT, 1.0 + 0.4 * len(names)))


def _median(values: Sequence[float]) -> str:
    import statistics

    return f"{statistics.median(values):.3g}" if values else "unknown"


def _row(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row["round"] == name)
