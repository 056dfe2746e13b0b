"""The README's picture: the starter's win rate by round, in each of its studies.

    python benchmarks/rounds_picture.py      # docs/img/rounds.png, from benchmarks/results

Thin lines are pipelines, thick ones their pool with 95 % intervals over prompts. Every study of
several seeds is shown, also where the rounds gain nothing (docs/results.md).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pictures
import starter_seeds

from spa.drawing import INK, MUTED, RIVAL, SERIES
from spa.metrics import Interval, bootstrap

RESULTS = starter_seeds.RESULTS.parent
PICTURE = starter_seeds.ROOT / "docs" / "img" / "rounds.png"
STUDIES = {
    "starter_seeds_gentle.jsonl": "today's pairs and recipe",
    "starter_seeds_drawn.jsonl": "today's pairs, recipe before",
    "starter_seeds_smaller.jsonl": "pairs before, smaller round 2",
    "starter_seeds.jsonl": "pairs before, one H200",
    "starter_seeds_rubric_e.jsonl": "another rubric",
}
ROUNDS = ("0", "1", "2")
LABELS = {"implicit": ("its own labels", SERIES[0]), "random": ("random labels", MUTED)}

Row = dict[str, Any]


def read(name: str) -> list[Row]:
    """The pipelines of a study."""
    return starter_seeds.read_results(RESULTS / name)


def pooled(rows: Sequence[Row], policy: str) -> Interval:
    """Win rate over the base, all pipelines together; a prompt that several test is one cluster."""
    wins = [win for row in rows for win in row["policies"][policy]["wins"]]
    prompts = [name for row in rows for name in row["policies"][policy]["prompts"]]
    return bootstrap(wins, seed=0, clusters=prompts)


def fingerprint() -> str:
    """What the picture is made of: a hash over the results of all its studies."""
    return pictures.fingerprint(RESULTS / name for name in STUDIES)


def draw(figure: Any) -> None:
    """One plot a study, with one scale."""
    plots = figure.subplots(1, len(STUDIES), sharey=True)
    for axes, (name, title) in zip(plots, STUDIES.items(), strict=True):
        rows = read(name)
        draw_study(axes, rows)
        tested = len(rows[0]["policies"]["0"]["wins"])
        pipelines = len({row["seed"] for row in rows})
        axes.set_title(f"{title}\n{pipelines} seeds, {tested} test prompts each")
    plots[0].set_ylabel("win rate over the base, %")
    handles, labels = plots[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)


def draw_study(axes: Any, rows: Sequence[Row]) -> None:
    """Win rates by round, with own and with random labels, beside the rival's."""
    axes.axhline(50, color=INK, linewidth=0.8)
    axes.grid(axis="x", visible=False)
    for method, (label, colour) in LABELS.items():
        members = [row for row in rows if row["method"] == method]
        for row in members:
            rates = [100 * row["policies"][name]["win_rate"] for name in ROUNDS]
            axes.plot(range(3), rates, color=colour, linewidth=0.8, alpha=0.55)
        if members:
            bars = _bars([pooled(members, name) for name in ROUNDS])
            style = {"marker": "o", "capsize": 3, "linewidth": 2.2, "color": colour}
            axes.errorbar(range(3), **bars, label=label, **style)
    own = [row for row in rows if row["method"] == "implicit"]
    rival = _bars([pooled(own, "rival")])
    style = {"marker": "D", "capsize": 3, "color": RIVAL, "linestyle": "none"}
    axes.errorbar([3], **rival, label="the seed amplified, no rounds", **style)
    axes.set(xticks=range(4), xticklabels=["seed", "round 1", "round 2", "rival"])
    axes.margins(x=0.12)


def _bars(values: Sequence[Interval]) -> dict[str, Any]:
    low = [100 * (value.mean - value.low) for value in values]
    high = [100 * (value.high - value.mean) for value in values]
    return {"y": [100 * value.mean for value in values], "yerr": [low, high]}


def main(picture: Path = PICTURE) -> None:
    pictures.save(picture, draw, size=(14.0, 3.6), made_of=fingerprint())


if __name__ == "__main__":
    main()
