"""Edited figures are named whatever the records say of their file."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from spa.layout import Layout
from tests.spa.audit.tampering import by_rows_alone, edit


def _set(*keys: Any) -> Callable[[Any], None]:
    """Give what lies under the keys but the last one that one as its value."""

    def change(value: Any) -> None:
        for key in keys[:-2]:
            value = value[key]
        value[keys[-2]] = keys[-1]

    return change


def _exchange(rows: Any) -> None:
    rows[0], rows[1] = rows[1], rows[0]


def _without_round_1(summary: Any) -> None:
    del summary["rounds"][2]


@pytest.mark.parametrize(
    ("name", "change", "row"),
    [
        ("evaluation/1/annotations", _set(1, "output_2", "Another."), 2),
        ("evaluation/1/annotations", _exchange, 1),
        ("evaluation/rival/annotations", _set(0, "prompt_id", "0"), 1),
        ("evaluation/2/outputs", _set(0, "prompt_id", "0"), 1),
        ("evaluation/1/metrics", _set("win_rate", 0.9), None),
        ("report/summary", _set("rounds", 2, "win_rate", 0.9), None),
        ("report/summary", _set("rounds", 1, "annotator", "llm"), None),
        ("report/summary", _set("recommended_round", "2"), None),
        ("report/summary", _without_round_1, None),
        ("report/summary", _set("rounds", 3), None),
        ("round-1/checks", _set("kept", 99), None),
        ("round-1/checks", _set("pairs", 99), None),
        ("round-2/checks", _set("flagged", 0), None),
    ],
)
def test_an_edited_figure_is_named(
    rows: Layout, name: str, change: Callable[[Any], None], row: int | None
) -> None:
    file = rows.root / "data" / f"{name}.json"
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))
    assert row in by_rows_alone(rows, rows.show(file))


def test_an_answer_edited_after_it_was_annotated_is_named_there(rows: Layout) -> None:
    file = rows.evaluation(1) / "outputs.json"
    outputs = json.loads(file.read_text())
    outputs[-1]["output"] = "Edited."
    file.write_text(json.dumps(outputs))
    tested = sum(own["dataset"] == "test" for own in outputs)
    assert by_rows_alone(rows, "data/evaluation/1/annotations.json") == {tested}


def test_a_prompt_taken_from_those_of_earlier_rounds_is_named(rows: Layout) -> None:
    edit(rows.earlier(2), lambda own: own[1:])
    assert by_rows_alone(rows, rows.show(rows.earlier(2))) == {1}
