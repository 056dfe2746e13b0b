"""The section `filter`: checks and gates, and their defaults."""

from typing import Any

import pytest

from spa.contract import DEFAULT_CHECKS, DEFAULT_GATES, Check, Gate
from spa.param_files import check_params


def test_a_check_or_gate_that_is_not_named_has_its_default(raw: dict[str, Any]) -> None:
    """A params.yaml from before a check was made gets it, and `off` ends it."""
    raw["filter"] = {
        "checks": {"tie": {"action": "off"}},
        "gates": {"distinct_2": {"action": "warn", "low": 0.5}},
    }
    raw["rounds"]["2"]["filter"] = {"gates": {"margin_std": {"action": "off"}}}
    params, _ = check_params(raw)
    assert params is not None
    assert params.filter.checks == {**DEFAULT_CHECKS, "tie": Check(action="off")}
    assert params.filter.gates["distinct_2"] == Gate(action="warn", low=0.5)
    assert params.filter.gates["chosen_longer"] == DEFAULT_GATES["chosen_longer"]
    assert params.for_round(2).filter.gates["margin_std"].action == "off"
    del raw["filter"]
    params, _ = check_params(raw)
    assert params is not None
    assert params.filter.checks == DEFAULT_CHECKS
    raw["filter"] = {"gates": {"chosen_longer": {"action": "drop"}}}
    assert check_params(raw)[1][0].startswith("filter.gates.chosen_longer.action: found 'drop'")


@pytest.mark.parametrize(
    ("name", "check", "said"),
    [
        ("identical", {"action": "drop", "limit": 0.5}, "identical has no limit"),
        ("tie", {"action": "drop", "side": "chosen"}, "tie looks at both answers"),
    ],
)
def test_a_check_takes_nothing_that_would_change_nothing(
    raw: dict[str, Any], name: str, check: dict[str, Any], said: str
) -> None:
    raw["filter"]["checks"][name] = check
    assert any(said in fault for fault in check_params(raw)[1])


def test_all_faults_of_the_checks_are_named_at_once(raw: dict[str, Any]) -> None:
    raw["filter"]["checks"] |= {
        "identical": {"action": "drop", "limit": 0.5},
        "tie": {"action": "drop", "side": "chosen"},
    }
    faults = " ".join(check_params(raw)[1])
    assert "identical has no limit" in faults
    assert "tie looks at both answers" in faults
