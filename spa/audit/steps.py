"""The training log: which pair when, and the numbers of a row that follow from its others."""

import numpy as np
from numpy.typing import NDArray

from spa.audit.findings import Findings
from spa.audit.pools import Rows
from spa.params import Params, Train
from spa.schedule import make_batches, make_plan, rate_factor

Numbers = NDArray[np.float64]

_FLOAT32 = 1e-5
"""Share by which what was computed in float32 may differ."""


def audit_log(log: Rows, pairs: list[str], params: Params, round: int, found: Findings) -> None:
    """The training log has the steps that the pairs make, and rows that hold together.

    Args:
        log: rows of training_log.parquet.
        pairs: ids of the pairs trained on, in order.
        params: with the round's overrides.
        round: the round, 0 for the seed.
        found: takes the faults.
    """
    settings = params.train
    if not len(log) and (not pairs or params.base.policy is not None):
        return
    if settings.epochs * len(pairs) < settings.batch_size:
        found.fault(log.name, f"there are too few pairs ({len(pairs)}) to have been trained on", 1)
        return
    batches = make_batches(len(pairs), settings, seed=params.seed, round=round)
    wanted = [f"{pairs[i]} at step {step}" for step, own in enumerate(batches) for i in own]
    ids = [f"{p} at step {s}" for p, s in zip(log["pair_id"], log["step"], strict=True)]
    found.order(log.name, ids, wanted, "the pairs trained on")
    if len(log):
        _audit_numbers(log, settings, len(pairs), found)


def _audit_numbers(log: Rows, settings: Train, pairs: int, found: Findings) -> None:
    """Confidence by margin, doubt by confidence and threshold, loss by margin and doubt.

    The threshold is one for all rows of a step; which one hangs on spa's version.
    """
    plan = make_plan(pairs, settings)
    step = _numbers(log, "step")
    margin, looked, confidence = (
        _numbers(log, name) for name in ("margin", "extrapolated_margin", "confidence")
    )
    sure = 0.5 * (1 + np.tanh(np.where(np.isnan(looked), margin, looked) / 2))
    threshold = _of_steps(step, _numbers(log, "threshold"))
    doubted = np.nan_to_num(threshold, nan=-np.inf)
    flagged = confidence.astype(np.float32) < doubted.astype(np.float32)  # as training compares
    refined = flagged & (step >= plan.gate) & (settings.alpha > 0)
    flip = settings.alpha * refined
    rate = [rate_factor(own, plan.steps, settings.warmup_share) for own in log["step"]]
    unseen = np.where(step < plan.look, np.nan, np.nan_to_num(looked))
    _off(log, "extrapolated_margin", looked, unseen, found)
    _off(log, "confidence", confidence, sure, found)
    _off(log, "threshold", _numbers(log, "threshold"), threshold, found)
    _off(log, "flagged", np.array(log["flagged"], dtype=float), flagged.astype(float), found)
    _off(log, "refined", np.array(log["refined"], dtype=float), refined.astype(float), found)
    softened = (1 - flip) * np.logaddexp(0, -margin) + flip * np.logaddexp(0, margin)
    _off(log, "loss", _numbers(log, "loss"), softened, found)
    _off(log, "learning_rate", _numbers(log, "learning_rate"),
         settings.learning_rate * np.array(rate), found)  # fmt: skip


def _numbers(log: Rows, column: str) -> Numbers:
    """A column of the log, NaN where it says nothing."""
    return np.array(log[column], dtype=float)


def _of_steps(step: Numbers, numbers: Numbers) -> Numbers:
    """What most rows of a row's step say."""
    found = numbers.copy()
    for rows in np.split(np.arange(len(step)), np.flatnonzero(np.diff(step)) + 1):
        values, counts = np.unique(numbers[rows], return_counts=True)
        found[rows] = values[counts.argmax()]
    return found


def _near(has: Numbers, wanted: Numbers) -> NDArray[np.bool_]:
    return np.isclose(has, wanted, rtol=_FLOAT32, atol=1e-12, equal_nan=True)


def _off(log: Rows, column: str, has: Numbers, wanted: Numbers, found: Findings) -> None:
    """Name the rows whose number is another than what the row's others give."""
    for i in np.flatnonzero(~_near(has, wanted)):
        what = f"{column} {has[i]:g}; the row's other numbers give {wanted[i]:g}"
        found.fault(log.name, what, int(i) + 1)
