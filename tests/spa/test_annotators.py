"""The section `evaluate`: annotators, and the files that they read."""

from typing import Any

import pytest

from spa.annotators import AlpacaEval
from spa.param_files import check_params


@pytest.mark.parametrize(
    ("evaluate", "fault"),
    [
        ({"annotator": "llm"}, "evaluate.llm: missing"),
        ({"annotator": ["rubric", "reward_model"]}, "evaluate.reward_model: missing"),
        ({"annotator": ["rubric", "rubric"]}, "evaluate.annotator: found ['rubric', 'rubric']"),
        ({"annotator": "recorded"}, "evaluate.recorded: missing"),
        ({"annotator": "recorded", "recorded": "a.json"}, "evaluate.recorded: found 'a.json'"),
        ({"annotator": "gpt"}, "evaluate.annotator"),
        ({"against": "reference"}, "evaluate.against: found 'reference'; wanted split.instruct"),
        ({"regression_data": "df.csv"}, "evaluate.regression_data: found 'df.csv'"),
    ],
)
def test_an_annotator_needs_what_it_works_with(
    raw: dict[str, Any], evaluate: dict[str, Any], fault: str
) -> None:
    raw["evaluate"] |= evaluate
    _, faults = check_params(raw)
    assert faults[0].startswith(fault)


@pytest.mark.parametrize("name", ["recorded", "regression_data"])
@pytest.mark.parametrize("file", ["mine.json", "data/raw/annotations/../../mine.json"])
def test_what_evaluations_read_lies_where_dvc_looks(
    raw: dict[str, Any], name: str, file: str
) -> None:
    raw["evaluate"] |= {name: file}
    _, faults = check_params(raw)
    assert faults == [
        f"evaluate.{name}: found {file!r}; wanted a file under data/raw/annotations/, which "
        "evaluations depend on"
    ]


def test_annotators_keep_their_order_and_recorded_ones_cannot_be_asked(raw: dict[str, Any]) -> None:
    raw["evaluate"] |= {"annotator": ["recorded", "llm"], "llm": "data/base/policy"}
    raw["evaluate"]["recorded"] = "data/raw/annotations/a.json"
    params, _ = check_params(raw)
    assert params is not None
    assert params.evaluate.annotators == ["recorded", "llm"]
    assert params.evaluate.asked == "llm"


def test_annotations_are_signed_by_the_config_and_another_model() -> None:
    assert AlpacaEval().signature == "weighted_alpaca_eval_gpt4_turbo"
    assert AlpacaEval(config="judges/mine", model="small").signature == "mine of small"
