"""The data contract: what is measured, what is expected of it, and what follows."""

from spa.checks.gates import enforce, judge_dropped, judge_gates
from spa.checks.measures import Known
from spa.checks.running import Flag, Outcome, run_checks
from spa.checks.suites import INPUT_CHECKS

__all__ = [
    "INPUT_CHECKS",
    "Flag",
    "Known",
    "Outcome",
    "enforce",
    "judge_dropped",
    "judge_gates",
    "run_checks",
]
