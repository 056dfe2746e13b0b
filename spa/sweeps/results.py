"""What came out of a sweep: mean and spread over seeds, per setting."""

import csv
import io
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from spa.files import check_version
from spa.layout import Layout
from spa.param_files import flatten
from spa.sweeps.running import experiments, git

COLUMNS = ("setting", "figure", "round", "mean", "sd", "low", "high", "n")


@dataclass(frozen=True)
class Experiment:
    """A finished run: its params, flat, and its summary.json."""

    name: str
    params: dict[str, Any]
    summary: dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """One figure of one setting over its seeds.

    Attributes:
        setting: the params in which this setting differs from the others.
        figure: `win_rate`, `gain` (win rate of the last round minus round 0's) or
            `judge_accuracy`, in 0..1.
        round: whose.
        mean: over the seeds.
        sd: standard deviation between seeds (n - 1); None for one seed.
        low: the lowest.
        high: the highest.
        n: how many seeds.
    """

    setting: str
    figure: str
    round: str
    mean: float
    sd: float | None
    low: float
    high: float
    n: int


def gather(layout: Layout, revision: str = "HEAD") -> list[Experiment]:
    """Finished experiments of the sweeps that began from a commit, by name.

    Raises:
        SpaError: there is no such commit, or a summary is of another schema version.
    """
    found = []
    for name, ref in sorted(experiments(layout, revision).items()):
        texts = [
            git(layout, "show", f"{ref}:./{layout.show(file)}")
            for file in (layout.params, layout.report / "summary.json")
        ]
        if texts[0] is not None and texts[1] is not None:
            params, summary = dict(flatten(yaml.safe_load(texts[0]))), json.loads(texts[1])
            check_version(f"{name}: summary.json", summary.get("schema_version"))
            found.append(Experiment(name, params, summary))
    return found


def spreads(found: Sequence[Experiment]) -> list[Spread]:
    """Every figure of every setting, mean and spread over the seeds; settings in order."""
    by_setting: dict[str, list[Experiment]] = {}
    for setting, own in zip(_settings(found), found, strict=True):
        by_setting.setdefault(setting, []).append(own)
    return [
        spread
        for setting, own in sorted(by_setting.items())
        for spread in _of_setting(setting, own)
    ]


def _settings(found: Sequence[Experiment]) -> list[str]:
    """The params in which an experiment differs from another one, seeds apart."""
    keys = dict.fromkeys(key for own in found for key in own.params if key != "seed")
    differ = [key for key in keys if len({str(own.params.get(key)) for own in found}) > 1]
    return [
        " ".join(f"{key}={own.params[key]}" for key in differ if key in own.params)
        or "params.yaml"
        for own in found
    ]  # fmt: skip


def _of_setting(setting: str, own: Sequence[Experiment]) -> Iterator[Spread]:
    values: dict[tuple[str, str], list[float]] = {}
    for experiment in own:
        for figure, round, value in _figures(experiment.summary["rounds"]):
            values.setdefault((figure, round), []).append(value)
    for (figure, round), numbers in sorted(values.items(), key=lambda item: _order(*item[0])):
        sd = statistics.stdev(numbers) if len(numbers) > 1 else None
        mean = statistics.fmean(numbers)
        low, high = min(numbers), max(numbers)
        yield Spread(setting, figure, round, mean, sd, low, high, len(numbers))


def _figures(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, float]]:
    by_round = {row["round"]: row for row in rows if row["round"] != "base"}
    for name, row in by_round.items():
        for figure in ("win_rate", "judge_accuracy"):
            if row.get(figure) is not None:
                yield figure, name, row[figure]
    last = max((name for name in by_round if name.isdigit()), key=int)
    yield "gain", last, by_round[last]["win_rate"] - by_round["0"]["win_rate"]


def _order(figure: str, round: str) -> tuple[int, float]:
    place = ("win_rate", "gain", "judge_accuracy").index(figure)
    return place, float(round) if round.isdigit() else float("inf")


def to_csv(rows: Sequence[Spread]) -> str:
    """One line per setting, figure and round."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return out.getvalue()


def to_table(rows: Sequence[Spread]) -> str:
    """Fixed-width text, rates in percent."""
    lines = [["setting", "figure", "round", "mean", "sd", "min", "max", "n"]]
    for row in rows:
        sd = "-" if row.sd is None else f"{row.sd:.1%}"
        numbers = [f"{row.mean:.1%}", sd, f"{row.low:.1%}", f"{row.high:.1%}", str(row.n)]
        lines.append([row.setting, row.figure.replace("_", " "), row.round, *numbers])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column > 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
