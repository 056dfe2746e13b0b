"""Study 1 at equal distance: score against the square root of KL to the base.

    python benchmarks/controlled_distance.py table      # docs/results.md
    python benchmarks/controlled_distance.py picture    # docs/img/distance.png

The further a policy is from the base, the more it may gain, whatever took it there. So an arm is
read beside the seed amplified in weight space, or beside another arm, at the same distance: the
shorter of the two ways, the longer one cut there. Between two policies of a way the score of a
prompt is taken to be linear in sqrt(KL). Distances are the pipelines' estimates, held fixed.
"""

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import controlled_preferences
import pictures
import study

from spa.drawing import MUTED, RIVAL, SERIES

PICTURE = study.ROOT / "docs" / "img" / "distance.png"
AMPLIFIED = "amplified"
"""The way without training: the seed policy, the rival and, where it was run, `far_rival`."""
COMPARED = (
    ("spa", AMPLIFIED),
    ("spa", "seed_steps"),
    ("spa", "oracle"),
    ("spa", "shorter"),
    ("spa", "likelihood"),
    ("oracle", AMPLIFIED),
    ("seed_steps", AMPLIFIED),
    ("more_answers", AMPLIFIED),
    ("more_prompts", AMPLIFIED),
)
"""What is read beside what. Rounds from the rival begin where the amplified seed ends."""
DRAWN = {
    "spa": ("rounds, own labels", SERIES[0]),
    "oracle": ("rounds, correct labels", SERIES[1]),
    "random": ("rounds, random labels", MUTED),
    "seed_steps": ("more seed steps", SERIES[2]),
    AMPLIFIED: ("the seed amplified, no rounds", RIVAL),
}

Row = dict[str, Any]
Arms = Mapping[str, Mapping[int, Row]]


@dataclass(frozen=True)
class Point:
    """One policy: its distance, sqrt(KL to the base) in nats, and an outcome per test prompt."""

    distance: float
    outcomes: Sequence[float]

    @property
    def mean(self) -> float:
        return sum(self.outcomes) / len(self.outcomes)


def gather(rows: Iterable[Row], rubric: str) -> dict[str, dict[int, Row]]:
    """A rubric's rows by arm and seed."""
    found: dict[str, dict[int, Row]] = {}
    for row in rows:
        if row["rubric"] == rubric:
            found.setdefault(row["arm"], {})[row["seed"]] = row
    return found


def way(arms: Arms, name: str, seed: int, key: str, start: str = "spa") -> list[Point]:
    """The policies of an arm, or of the amplified seed, nearest first, from the seed policy on.

    `start` names the arm whose seed policy and rival those are, where `name` has none of its own.
    """
    row = arms[start if name == AMPLIFIED else name][seed]
    if name == AMPLIFIED:
        far = arms.get("far_rival", {}).get(seed)
        members = [(row, "0"), (row, "rival"), *([(far, "rival")] if far else [])]
    elif "2" in row["policies"]:
        members = [(row, "0"), (row, "1"), (row, "2")]
    else:
        members = [(arms[start][seed], "0"), (row, "0")]
    points = [_point(row["policies"][policy], key) for row, policy in members]
    return sorted(points, key=lambda point: point.distance)


def _point(policy: Row, key: str) -> Point:
    return Point(math.sqrt(max(policy["kl_to_base"], 0.0)), policy["test"][key])


def at(points: Sequence[Point], distance: float) -> list[float]:
    """The outcomes on a way where it is `distance` from the base: linear between two policies.

    Raises:
        ValueError: if the way ends before.
    """
    after = next((i for i, point in enumerate(points) if point.distance >= distance), None)
    if after is None:
        raise ValueError(f"the way ends at {points[-1].distance}, {distance} is asked")
    here = points[after]
    if after == 0:
        return list(here.outcomes)
    before = points[after - 1]
    share = (distance - before.distance) / (here.distance - before.distance)
    pairs = zip(before.outcomes, here.outcomes, strict=True)
    return [(1 - share) * first + share * second for first, second in pairs]


def beside(arms: Arms, first: str, second: str, seed: int, key: str) -> tuple[float, list[float]]:
    """The largest distance that both ways reach, and first minus second there, by prompt."""
    start = first if "2" in arms[first][seed]["policies"] else "spa"
    ways = [way(arms, name, seed, key, start) for name in (first, second)]
    distance = min(points[-1].distance for points in ways)
    ours, theirs = (at(points, distance) for points in ways)
    return distance, [a - b for a, b in zip(ours, theirs, strict=True)]


def table(rows: Sequence[Row]) -> str:
    """What is read beside what, seed by seed at its own distance, seeds pooled."""
    body = []
    for rubric in controlled_preferences.RUBRICS:
        arms = gather(rows, rubric)
        for first, second in COMPARED:
            seeds = _seeds(arms, first, second)
            if seeds:
                body.append(
                    [
                        f"`{rubric}`",
                        f"`{first}`",
                        _shown(second),
                        *_cells(arms, first, second, seeds),
                    ]
                )
    header = ["rubric", "arm", "beside", "KL to the base there, nats", "score", "win rate"]
    return study.markdown("At equal distance from the base, points", header, body) + "\n"


def _seeds(arms: Arms, first: str, second: str) -> list[int]:
    needed = [first, "spa"] if second == AMPLIFIED else [first, second, "spa"]
    return sorted(set.intersection(*(set(arms.get(name, {})) for name in needed)))


def _shown(name: str) -> str:
    return "the amplified seed" if name == AMPLIFIED else f"`{name}`"


def _cells(arms: Arms, first: str, second: str, seeds: Sequence[int]) -> list[str]:
    cells = []
    for key in ("scores", "wins"):
        found = [beside(arms, first, second, seed, key) for seed in seeds]
        cells.append(study.percent(study.over_seeds([difference for _, difference in found])[0]))
    distances = ", ".join(f"{distance**2:.1f}" for distance, _ in found)
    return [distances, *cells]


def draw(figure: Any) -> None:
    """One plot a rubric, one line a pipeline."""
    rows = study.read_results(controlled_preferences.RESULTS)
    plots = figure.subplots(1, len(controlled_preferences.RUBRICS))
    for axes, rubric in zip(plots, controlled_preferences.RUBRICS, strict=True):
        arms = gather(rows, rubric)
        draw_rubric(axes, arms)
        seeds = len(arms["spa"])
        axes.set_title(f"rubric {rubric}, {seeds} seed{'s' if seeds > 1 else ''}")
        axes.set_xlabel("sqrt(KL to the base), nats per answer")
    plots[0].set_ylabel("rubric score, test prompts")
    handles, labels = plots[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(DRAWN), frameon=False)


def draw_rubric(axes: Any, arms: Arms) -> None:
    """Mean score against distance: every way from its seed policy on."""
    for name, (label, colour) in DRAWN.items():
        style = {"color": colour, "linewidth": 1, "marker": "o", "markersize": 3}
        seeds = _seeds(arms, "spa" if name == AMPLIFIED else name, AMPLIFIED)
        for place, seed in enumerate(seeds):
            points = way(arms, name, seed, "scores")
            shown = [point.distance for point in points], [point.mean for point in points]
            axes.plot(*shown, label="_" if place else label, **style)  # one entry of the legend


def made_of() -> str:
    """What the picture is made of."""
    return pictures.fingerprint([controlled_preferences.RESULTS])


def main(picture: Path = PICTURE) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    printing = commands.add_parser("table", help="print the table")
    printing.add_argument("--seeds", type=int, nargs="+", help="of these alone; by default of all")
    commands.add_parser("picture", help=f"draw {PICTURE.name}")
    arguments = parser.parse_args()
    if arguments.command == "picture":
        pictures.save(picture, draw, size=(12.0, 3.8), made_of=made_of())
        return
    rows = study.read_results(controlled_preferences.RESULTS)
    print(table([row for row in rows if row["seed"] in (arguments.seeds or [row["seed"]])]), end="")


if __name__ == "__main__":
    main()
