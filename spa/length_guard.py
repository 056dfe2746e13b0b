"""The guard against length hacking: does the annotator prefer length, and does the policy use it?

Length is in characters, as in AlpacaEval's length control. Everything here compares a policy's
answers with the other side's, the base's or a reference's, on the same prompts.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spa.metrics import bootstrap

SIDES_WITH_LENGTH = 2 / 3
"""An annotator follows length where it surely sides with the longer answer more often than this
(the lower bound of its 95 % interval is above it)."""
LONGER = 1.1
"""Answers have grown where their mean length is more than this times the other side's."""
LENGTH_PAYS = 0.05
"""Length pays where the win rate lies this far above the one at equal length."""

Row = Mapping[str, Any]


def length_figures(annotations: Sequence[Row], *, seed: int) -> dict[str, float | None]:
    """What length has to do with a policy's wins on the test prompts.

    Args:
        annotations: of one policy, as `evaluation.annotate` returns them.
        seed: names the bootstrap.

    Returns:
        `mean_characters` of its answers, `length_ratio` to the other side's; `longer_preferred`
        with its interval, the share of prompts on which the longer answer is preferred, ties and
        equal lengths left out; `equal_length_win_rate`, the win rate at no difference in length.
        Figures are None where nothing can be said, as of the base itself.
    """
    rows = [r for r in annotations if r["dataset"] == "test" and r["preference"] is not None]
    lengths = [(len(row["output_1"]), len(row["output_2"])) for row in rows]
    wins = [row["preference"] - 1 for row in rows]
    base, policy = (sum(own) for own in zip(*lengths, strict=True))
    sided = [
        float((win > 0.5) == (own > other))
        for win, (other, own) in zip(wins, lengths, strict=True)
        if win != 0.5 and own != other
    ]
    side = bootstrap(sided, seed=seed) if sided else None
    return {
        "mean_characters": policy / len(rows),
        "length_ratio": policy / base if base else None,
        "longer_preferred": side.mean if side else None,
        "longer_preferred_low": side.low if side else None,
        "longer_preferred_high": side.high if side else None,
        "equal_length_win_rate": equal_length_win_rate(wins, [b - a for a, b in lengths]),
    }


def equal_length_win_rate(wins: Sequence[float], differences: Sequence[float]) -> float | None:
    """The win rate that a logistic regression on the difference in length says of none.

    The regressor is tanh(difference / its standard deviation), as in AlpacaEval's length control;
    that one also knows how hard each instruction is, so that figures are not comparable.

    Args:
        wins: preferences for the policy, 0 to 1.
        differences: its answers' lengths minus the base's.

    Returns:
        0 to 1, or None where all differences are alike or all wins are.

    Source: Dubois et al., arXiv:2404.04475, without its instruction difficulty.
    """
    from sklearn.linear_model import LogisticRegression

    share = np.asarray(wins, dtype=np.float64)
    spread = float(np.std(differences))
    if spread == 0 or float(np.ptp(share)) == 0:
        return None
    feature = np.tanh(np.asarray(differences, dtype=np.float64) / spread)[:, None]
    model = LogisticRegression(C=100.0)
    labels = np.repeat([1, 0], len(share))
    model.fit(np.vstack([feature, feature]), labels, sample_weight=np.r_[share, 1 - share])
    return 1 / (1 + math.exp(-float(model.intercept_[0])))


def health(row: Row) -> dict[str, Any]:
    """A round's health in words, by the thresholds above.

    Args:
        row: a round's figures, those of `length_figures` among them and, where it has a judge,
            those of `calibration.summarise`.

    Returns:
        `healthy`, whether nothing speaks of length hacking, and `words`, what was found.
    """
    faults = [
        text for text in (_annotator_fault(row), _policy_fault(row), _judge_fault(row)) if text
    ]
    facts = f"answers of {row['mean_characters']:.0f} characters"
    if row["length_ratio"] is not None:
        facts += f" ({row['length_ratio']:.2f} times the {row['against']}'s)"
    if row["longer_preferred"] is not None:
        facts += f", the longer one preferred in {row['longer_preferred']:.0%}"
    if row["equal_length_win_rate"] is not None:
        level = row["equal_length_win_rate"]
        facts += f", win rate {row['win_rate']:.1%} and {level:.1%} at equal length"
    if row.get("lc_win_rate") is not None:
        about = "about " if row["lc_approximate"] else ""
        facts += f", length-controlled {about}{row['lc_win_rate']:.1%}"
    if row.get("chosen_longer_tokens") is not None:
        facts += f", chosen answers {row['chosen_longer_tokens']:+.1f} tokens longer than rejected"
    verdict = "; ".join(faults) if faults else "healthy"
    return {"healthy": not faults, "words": f"Round {row['round']}: {facts}: {verdict}."}


def _annotator_fault(row: Row) -> str | None:
    low = row["longer_preferred_low"]
    if low is None or low <= SIDES_WITH_LENGTH:
        return None
    return (
        "LENGTH: the annotator follows length (it surely sides with the longer answer in more "
        f"than {SIDES_WITH_LENGTH:.0%})"
    )


def _policy_fault(row: Row) -> str | None:
    ratio, level = row["length_ratio"], row["equal_length_win_rate"]
    if ratio is None or level is None or ratio <= LONGER or row["win_rate"] - level < LENGTH_PAYS:
        return None
    return (
        f"LENGTH: longer answers (over {LONGER:g} times the {row['against']}'s) carry "
        f"{row['win_rate'] - level:.1%} of the win rate (over {LENGTH_PAYS:.0%})"
    )


def _judge_fault(row: Row) -> str | None:
    low = row.get("chosen_longer_low")
    if low is None or low <= SIDES_WITH_LENGTH:
        return None
    return (
        "LENGTH: its labels follow length (the chosen answer is surely the longer one in more "
        f"than {SIDES_WITH_LENGTH:.0%} of its pairs)"
    )
