"""What the rows of an optimiser step say of it: whether to stop, and how it goes."""

import math
from collections.abc import Sequence

from spa.errors import TrainingError
from spa.records import TrainingRow


def check_finite(rows: Sequence[TrainingRow]) -> None:
    """Stop where a loss is no number, before its step is taken.

    Raises:
        TrainingError: names the step and its pairs.
    """
    broken = [row.pair_id for row in rows if not math.isfinite(row.loss)]
    if broken:
        raise TrainingError(
            f"train: the loss of step {rows[0].step} is not a finite number, at pairs "
            f"{', '.join(broken)}; lower train.learning_rate or look at these pairs"
        )


def check_gradient(rows: Sequence[TrainingRow], norm: float) -> None:
    """Stop where a gradient is no number, before its step spoils every weight.

    Raises:
        TrainingError: names the step and its pairs.
    """
    if not math.isfinite(norm):
        raise TrainingError(
            f"train: the gradient of step {rows[0].step} is not a finite number, at pairs "
            f"{', '.join(row.pair_id for row in rows)}; lower train.learning_rate or look at these "
            "pairs"
        )


def health(rows: Sequence[TrainingRow]) -> dict[str, str]:
    """Means over a step's pairs, for the progress bar."""
    count = len(rows)
    return {
        "loss": f"{sum(r.loss for r in rows) / count:.3f}",
        "margin": f"{sum(r.margin for r in rows) / count:+.3f}",
        "accuracy": f"{sum(r.margin > 0 for r in rows) / count:.2f}",
    }
