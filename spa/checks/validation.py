"""Rules held against measures by Great Expectations; which rows fail which."""

import logging
from collections.abc import Sequence
from typing import Any

import great_expectations as gx
import pandas as pd

from spa.checks.suites import Rule

RESULT_FORMAT = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": ["row"],
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": False,
}


def failing_rows(name: str, frame: pd.DataFrame, rules: Sequence[Rule]) -> list[list[int]]:
    """Values of column `row` where each rule fails, in the rules' order.

    Raises:
        RuntimeError: an expectation could not be computed; that is a bug, not bad data.
    """
    if frame.empty or not rules:
        return [[] for _ in rules]  # every expectation holds on nothing
    asset = quiet_context().data_sources.add_pandas("round").add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    result = batch.validate(suite(name, rules), result_format=RESULT_FORMAT)
    found = {r.expectation_config.meta["reason"]: _failing(r) for r in result.results}
    return [found[rule.reason] for rule in rules]


def suite(name: str, rules: Sequence[Rule]) -> gx.ExpectationSuite:
    """The rules as Great Expectations' own suite."""
    return gx.ExpectationSuite(name=name, expectations=[rule.expectation for rule in rules])


def quiet_context() -> Any:
    """A context that leaves nothing behind and shows no bars."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    return context


def _failing(result: Any) -> list[int]:
    raised = result.exception_info or {}
    if raised.get("raised_exception"):
        raise RuntimeError(f"{result.expectation_config.type}: {raised.get('exception_message')}")
    listed = result.result.get("unexpected_index_list") or []
    return [int(row) for entry in listed for row in _as_list(entry["row"])]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
