"""Win rates of AlpacaEval's annotations, and where its length control can be trusted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spa.errors import InputError
from spa.leaderboard import length_controlled, raw_figures
from spa.regression_data import RegressionData

INSTRUCTIONS = 805
BASELINE = "gpt4_1106_preview"
ANNOTATOR = "weighted_alpaca_eval_gpt4_turbo"
_ALPACA_EVAL = "6b093cbb6a61"
"""SHA-256 of AlpacaEval's instructions in their order, its first 12 digits."""


@dataclass(frozen=True)
class WinRate:
    """Win rates of a model over a baseline, in percent.

    `n` counts the annotations that hold a preference; one alone has no `standard_error`. Where
    length control is refused, `lc_win_rate` is None and `lc_reason` says why. Where it is
    approximate, only paired differences on the same instructions mean something.
    """

    n: int
    win_rate: float
    standard_error: float | None
    discrete_win_rate: float
    lc_win_rate: float | None
    lc_approximate: bool
    lc_reason: str | None


def win_rate(annotations: Sequence[dict[str, Any]], data: RegressionData | None) -> WinRate:
    """Win rates of annotations, by alpaca-eval's own code.

    Args:
        annotations: as `importing.annotations.read_annotations` returns them.
        data: what length control is fitted with; None where it cannot be had.

    Raises:
        InputError: no annotation holds a preference.
    """
    if all(row["preference"] is None for row in annotations):
        raise InputError(
            f"annotations: found no preference in {len(annotations)} rows; wanted numbers from 1 "
            "to 2; annotate again"
        )
    raw = raw_figures(annotations)
    reason = lc_refusal(annotations) or (None if data else _NO_DATA)
    usual = {row["annotator"] for row in annotations} == {ANNOTATOR}
    fitted = None if reason or data is None else length_controlled(annotations, data.file)
    return WinRate(
        n=int(raw["n_total"]),
        win_rate=float(raw["win_rate"]),
        standard_error=float(raw["standard_error"]) if raw["n_total"] > 1 else None,
        discrete_win_rate=float(raw["discrete_win_rate"]),
        lc_win_rate=fitted,
        lc_approximate=fitted is not None and not (usual and data is not None and data.original),
        lc_reason=reason,
    )


_NO_DATA = (
    "its regression data, df_gamed.csv of tatsu-lab/alpaca_eval, could not be fetched from the "
    "Hub; give a file with --regression-data"
)


def lc_refusal(annotations: Sequence[dict[str, Any]]) -> str | None:
    """Why no length-controlled win rate can be told of these annotations; None where it can."""
    found = hashlib.sha256("\x1f".join(row["instruction"] for row in annotations).encode())
    baselines, models = (sorted({row[f"generator_{i}"] for row in annotations}) for i in (1, 2))
    if not found.hexdigest().startswith(_ALPACA_EVAL):
        return (
            f"the {len(annotations)} instructions are not AlpacaEval's {INSTRUCTIONS} in their "
            "order, which the regression knows one by one"
        )
    if len(models) > 1:
        return f"found several models ({', '.join(models[:3])}), wanted one"
    if baselines != [BASELINE]:
        return (
            f"the baseline is {', '.join(baselines[:3])}; the regression knows how hard "
            f"instructions are against {BASELINE} alone"
        )
    return None
