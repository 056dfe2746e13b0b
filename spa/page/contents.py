"""What the report page holds, gathered from a finished pipeline's files and params."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spa import pictures
from spa.digest import curves, read_digests
from spa.drawing import Plot
from spa.files import read_json
from spa.layout import Layout
from spa.page.answers import Answered, read_answers, read_lengths
from spa.params import Params
from spa.records import TrainingRow
from spa.tables import read_table

Row = dict[str, Any]


@dataclass(frozen=True)
class Words:
    """What the figures say, in sentences."""

    rounds: list[str]
    judges: list[str]
    health: list[str]


@dataclass(frozen=True)
class Page:
    """Everything that stands on the page.

    `plots` has the pictures by the name of their file; `digests` what is shown of each round's
    pairs; `reasons` how many pairs each reason flags, by reason and round.
    """

    params: Params
    rows: Sequence[Row]
    summary: Mapping[str, Any]
    words: Words
    plots: Mapping[str, Sequence[Plot]]
    judged: Mapping[str, Row]
    digests: Mapping[str, Row]
    reasons: Mapping[str, Mapping[str, Row]]
    answers: Sequence[Answered]


def read_page(
    layout: Layout, params: Params, rows: Sequence[Row], summary: Mapping[str, Any], words: Words
) -> Page:
    """Gather a page.

    Args:
        layout: the pipeline.
        params: its params, no round's overrides merged in.
        rows: from `report.read_rows`.
        summary: what summary.json holds.
        words: what the figures say.

    Raises:
        ArtefactError: something to show is missing.
    """
    rounds, policies = list(params.rounds), [row["round"] for row in rows]
    digests = read_digests(layout, rounds)
    judged = {name: read_json(layout.calibration(name) / "metrics.json") for name in rounds}
    return Page(
        params,
        rows,
        summary,
        words,
        _plots(layout, rows, digests, judged),
        judged,
        digests,
        _reasons(digests),
        read_answers(layout, policies, against=params.evaluate.against),
    )


def _plots(
    layout: Layout, rows: Sequence[Row], digests: Mapping[str, Row], judged: Mapping[str, Row]
) -> dict[str, list[Plot]]:
    seed = curves(read_table(layout.training_log(0), TrainingRow))
    trained = {"0": seed, **{name: own["curves"] for name, own in digests.items()}}
    pairs = {name: read_json(layout.calibration(name) / "pairs.json") for name in judged}
    return {
        "win_rate": [pictures.win_rate(rows)],
        "reward_kl": [pictures.reward_kl(rows)],
        "training": pictures.training(trained),
        "calibration": pictures.calibration(judged),
        "margins": [pictures.margins(pairs)],
        "lengths": [pictures.lengths(read_lengths(layout, [row["round"] for row in rows]))],
    }


def _reasons(digests: Mapping[str, Row]) -> dict[str, dict[str, Row]]:
    names = sorted({reason for own in digests.values() for reason in own["reasons"]})
    return {
        name: {round: own["reasons"].get(name) for round, own in digests.items()} for name in names
    }
