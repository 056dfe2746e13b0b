"""Rules held against measures by Great Expectations; which rows fail which."""

import logging
from collections.abc import Sequence
from typing import Any

import great_expectations as gx

from spa.checks.suites import Rule, Suite

RESULT_FORMAT = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": ["row"],
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": False,
}


def failing_rows(suite: Suite) -> list[list[int]]:
    """Values of column `row` where each rule fails, in the rules' order.

    Raises:
        RuntimeError: an expectation could not be computed; that is a bug, not bad data.
    """
    if suite.frame.empty or not suite.rules:
        return [[] for _ in suite.rules]  # every expectation holds on nothing
    asset = quiet_context().data_sources.add_pandas("round").add_dataframe_asset(suite.name)
    whole = asset.add_batch_definition_whole_dataframe("all")
    batch = whole.get_batch({"dataframe": suite.frame})
    result = batch.validate(gx_suite(suite), result_format=RESULT_FORMAT)
    found = {r.expectation_config.meta["reason"]: _failing(r) for r in result.results}
    return [found[rule.reason] for rule in suite.rules]


def gx_suite(suite: Suite) -> gx.ExpectationSuite:
    """The rules as Great Expectations' own suite."""
    own = [rule.expectation for rule in suite.rules]
    return gx.ExpectationSuite(name=suite.name, expectations=own)


def as_json(suite: Suite, failing: Sequence[Sequence[int]]) -> dict[str, Any]:
    """A suite to review: every expectation as Great Expectations has it, and how many rows fail."""
    return {
        "rows": len(suite.frame),
        "expectations": [
            {**_configuration(rule), "failing": len(rows)}
            for rule, rows in zip(suite.rules, failing, strict=True)
        ],
    }


def _configuration(rule: Rule) -> dict[str, Any]:
    configuration = rule.expectation.configuration
    return {"type": configuration.type, "kwargs": configuration.kwargs, **configuration.meta}


def quiet_context() -> Any:
    """A context that leaves nothing behind and shows no bars."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    return context


def _failing(result: Any) -> list[int]:
    told = result.exception_info or {}
    for raised in [told] if "raised_exception" in told else told.values():  # one, or by metric
        if raised["raised_exception"]:
            what = f"{result.expectation_config.type}: {raised['exception_message']}"
            raise RuntimeError(what)
    listed = result.result.get("unexpected_index_list") or []
    return [int(row) for entry in listed for row in _as_list(entry["row"])]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
