"""Evaluations and the summary: figures against what they were counted from."""

from collections.abc import Mapping, Sequence
from typing import Any

from spa.audit.findings import Findings
from spa.audit.pools import Rows
from spa.errors import ArtefactError
from spa.files import read_json
from spa.layout import Layout
from spa.params import Params
from spa.report import EVALUATION, recommend


def audit_evaluation(layout: Layout, name: str, pools: dict[str, Rows], found: Findings) -> None:
    """An evaluation answers the held-out prompts in order, its annotator read these answers, and
    its win rate is the mean of what it said."""
    folder = layout.evaluation(name)
    if not folder.is_dir():
        return
    try:
        outputs, annotations, metrics = (
            read_json(folder / f"{file}.json") for file in ("outputs", "annotations", "metrics")
        )
        answered = [row["prompt_id"] for row in outputs]
        tested, judged = (
            [row for row in rows if row["dataset"] == "test"] for rows in (outputs, annotations)
        )
        _annotated(layout, name, tested, judged, found)
        preferences = [row["preference"] for row in judged]
        told = metrics["win_rate"]
    except (ArtefactError, KeyError, TypeError) as error:
        found.fault(layout.show(folder), f"cannot be read: {error}")
        return
    held_out = [pools["development"], pools["test"]]
    if not found.unread & {pool.name for pool in held_out}:
        wanted = [prompt for pool in held_out for prompt in pool["prompt_id"]]
        found.order(layout.show(folder / "outputs.json"), answered, wanted, "the held-out pools")
    wins = [preference - 1 for preference in preferences if preference is not None]
    if wins and name != "base" and abs(sum(wins) / len(wins) - told) > 1e-9:
        what = f"win_rate {told}; annotations.json gives {sum(wins) / len(wins)}"
        found.fault(layout.show(folder / "metrics.json"), what)


def _annotated(
    layout: Layout,
    name: str,
    tested: Sequence[Mapping[str, Any]],
    annotations: Sequence[Mapping[str, Any]],
    found: Findings,
) -> None:
    """The annotator read the policy's answers to the test prompts, each once."""
    folder = layout.evaluation(name)
    file, parent = (layout.show(folder / f"{one}.json") for one in ("annotations", "outputs"))
    ids, wanted = ([row["prompt_id"] for row in rows] for rows in (annotations, tested))
    found.order(file, ids, wanted, f"{parent}'s test prompts")
    if ids == wanted:
        for row, (own, answer) in enumerate(zip(annotations, tested, strict=True), 1):
            if own["output_2"] != answer["output"]:
                found.fault(file, f"output_2 is not the answer of {parent}", row)


def audit_summary(layout: Layout, params: Params, found: Findings) -> None:
    """summary.json says of every policy what its evaluation says, and recommends what follows."""
    file = layout.report / "summary.json"
    if not file.is_file():
        return
    own = layout.show(file)
    try:
        summary = read_json(file)
        rows = {row["round"]: row for row in summary["rounds"]}
        for name in ("base", "0", *params.rounds, "rival"):
            place = layout.evaluation(name) / "metrics.json"
            if place.is_file():
                _summarised(own, name, rows.get(name), layout.show(place), read_json(place), found)
        best = recommend(summary["rounds"])
        if best != summary["recommended_round"]:
            what = f"recommended_round {summary['recommended_round']}; its rounds give {best}"
            found.fault(own, what)
    except (ArtefactError, KeyError, TypeError, ValueError) as error:
        found.fault(own, f"cannot be read: {error}")


def _summarised(
    file: str,
    name: str,
    row: Mapping[str, Any] | None,
    place: str,
    metrics: Mapping[str, Any],
    found: Findings,
) -> None:
    if row is None:
        found.fault(file, f"has no row of round {name}, which {place} is of")
        return
    for key in EVALUATION:
        if key in row and key in metrics and row[key] != metrics[key]:
            found.fault(file, f"round {name}: {key} {row[key]}; {place} has {metrics[key]}")
