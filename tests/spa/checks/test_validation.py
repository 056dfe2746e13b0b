"""What Great Expectations says of rules: failing rows, and no exception that passes for none."""

import pandas as pd
import pytest
from great_expectations.expectations.core import ExpectColumnValuesToBeBetween

from spa.checks.suites import Suite, one_of, rule
from spa.checks.validation import failing_rows


def test_the_rows_that_fail_are_given_by_rule() -> None:
    frame = pd.DataFrame({"row": [0, 1, 2], "size": ["a", "b", "a"]})
    rules = [rule("a", "drop", "size", one_of("a")), rule("both", "drop", "size", one_of("a", "b"))]
    assert failing_rows(Suite("pairs", frame, rules)) == [[1], []]


@pytest.mark.parametrize("column", ["size", "elsewhere"])
def test_an_expectation_that_cannot_be_computed_is_an_error_and_no_pass(column: str) -> None:
    """A limit on a column of text, and on one that is not there."""
    frame = pd.DataFrame({"row": [0, 1], "size": ["a", "b"]})
    good = rule("row", "drop", "row", one_of(0, 1))
    broken = rule("long", "drop", column, (ExpectColumnValuesToBeBetween, {"max_value": 3.0}))
    with pytest.raises(RuntimeError, match="expect_column_values_to_be_between"):
        failing_rows(Suite("pairs", frame, [good, broken]))
