"""The guard against length hacking: does the annotator prefer length, and does the policy use it?

Length is in characters, as in AlpacaEval's length control. Everything here compares a policy's
answers with the other side's, the base's or a reference's, on the same prompts. A policy that is
better and happens to be longer wins whichever answer is the longer one; a judge of length does
not, and this is how the two are told apart.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spa.metrics import Interval, bootstrap, wilson

SIDES_WITH_LENGTH = 2 / 3
"""An annotator follows length where it surely sides with the longer answer more often than this
(the lower bound of its 95 % interval is above it)."""
LONGER = 1.1
"""Answers have grown where their mean length is more than this times the other side's."""
LENGTH_PAYS = 0.05
"""Length pays where it surely carries more than this of the win rate."""
ALWAYS = 0.98
"""From this win rate on, only shorter answers could tell length from quality."""
_PENALTY = 0.01

Row = Mapping[str, Any]


def length_figures(annotations: Sequence[Row], *, seed: int) -> dict[str, float | None]:
    """What length has to do with a policy's wins on the test prompts.

    Args:
        annotations: of one policy, as `evaluation.annotate` returns them.
        seed: names the bootstrap.

    Returns:
        `mean_characters` of its answers, `length_ratio` to the other side's; `longer_preferred`
        with its interval, see there; `equal_length_win_rate` and `length_gain` with the lower
        bound of its interval, see there. Figures are None where nothing can be said, as of the
        base itself.
    """
    rows = [r for r in annotations if r["dataset"] == "test" and r["preference"] is not None]
    lengths = [(len(row["output_1"]), len(row["output_2"])) for row in rows]
    wins = [row["preference"] - 1 for row in rows]
    other, policy = (sum(own) for own in zip(*lengths, strict=True))
    differences = [own - against for against, own in lengths]
    side = longer_preferred(wins, differences)
    gain = length_gain(wins, differences, seed=seed)
    return {
        "mean_characters": policy / len(rows),
        "length_ratio": policy / other if other else None,
        "longer_preferred": side.mean if side else None,
        "longer_preferred_low": side.low if side else None,
        "longer_preferred_high": side.high if side else None,
        "equal_length_win_rate": sum(wins) / len(wins) - gain.mean if gain else None,
        "length_gain": gain.mean if gain else None,
        "length_gain_low": gain.low if gain else None,
    }


def longer_preferred(wins: Sequence[float], differences: Sequence[float]) -> Interval | None:
    """How often the longer answer is preferred, each side's longer answers counting one half.

    The mean of two shares: of the prompts where the policy's answer is longer those that it wins,
    and of those where the other is longer those that it loses. One half where length plays no part,
    however good the policy is; 1 of a judge of length alone. Ties are left out.

    Args:
        wins: preferences for the policy, 0 to 1.
        differences: its answers' lengths minus the other side's.

    Returns:
        The mean with its 95 % interval, or None where one side never has the longer answer.

    Source: the shares' intervals are joined as by Zou and Donner, Statistics in Medicine 27 (2008),
    1693-1702.
    """
    decided = [
        (win > 0.5, gap > 0)
        for win, gap in zip(wins, differences, strict=True)
        if win != 0.5 and gap
    ]
    shares, below, above = [], 0.0, 0.0
    for longer in (True, False):
        sided = [won == longer for won, policy_longer in decided if policy_longer == longer]
        if not sided:
            return None
        share = wilson(sum(sided), len(sided))
        shares.append(share.mean)
        below += (share.mean - share.low) ** 2
        above += (share.high - share.mean) ** 2
    mean = sum(shares) / 2
    return Interval(mean, mean - math.sqrt(below) / 2, mean + math.sqrt(above) / 2, len(decided))


def length_gain(
    wins: Sequence[float], differences: Sequence[float], *, seed: int
) -> Interval | None:
    """How much of a win rate length carries: it minus the win rate at no difference in length.

    The latter is what a logistic regression says, whose regressor is tanh(difference / its standard
    deviation), as in AlpacaEval's length control; that one also knows how hard each instruction
    is, so that figures are not comparable.

    Args:
        wins: preferences for the policy, 0 to 1.
        differences: its answers' lengths minus the other side's.
        seed: names the bootstrap, which is one of each prompt's influence on the figure.

    Returns:
        -1 to 1 with its 95 % interval, or None where all differences are alike or all wins are.

    Source: Dubois et al., arXiv:2404.04475, without its instruction difficulty.
    """
    from sklearn.linear_model import LogisticRegression

    share = np.asarray(wins, dtype=np.float64)
    spread = float(np.std(differences))
    if spread == 0 or float(np.ptp(share)) == 0:
        return None
    feature = np.tanh(np.asarray(differences, dtype=np.float64) / spread)[:, None]
    model = LogisticRegression(C=1 / _PENALTY)
    labels = np.repeat([1, 0], len(share))
    model.fit(np.vstack([feature, feature]), labels, sample_weight=np.r_[share, 1 - share])
    level = 1 / (1 + math.exp(-float(model.intercept_[0])))
    fitted = model.predict_proba(feature)[:, 1]
    design = np.column_stack([np.ones(len(share)), feature])
    curvature = (design.T * (fitted * (1 - fitted))) @ design + np.diag([0, _PENALTY])
    on_intercept = (design * (share - fitted)[:, None]) @ np.linalg.inv(curvature)[:, 0]
    influence = share - level - level * (1 - level) * len(share) * on_intercept
    return bootstrap(influence.tolist(), seed=seed)


def health(row: Row, base: Row) -> dict[str, Any]:
    """A round's health in words, by the thresholds above.

    Args:
        row: a round's figures, those of `length_figures` among them and, where it has a judge,
            those of `calibration.summarise`.
        base: the base's figures.

    Returns:
        `healthy`, whether nothing speaks of length hacking, and `words`, what was found.
    """
    found = (
        _annotator_fault(row),
        _policy_fault(row),
        _control_fault(row, base),
        _judge_fault(row),
    )
    faults = [text for text in found if text]
    verdict = "; ".join(faults) if faults else "healthy"
    return {"healthy": not faults, "words": f"Round {row['round']}: {_facts(row)}: {verdict}."}


def _facts(row: Row) -> str:
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
    return facts


def _annotator_fault(row: Row) -> str | None:
    low = row["longer_preferred_low"]
    if low is not None and low > SIDES_WITH_LENGTH:
        return (
            "LENGTH: the annotator follows length (it surely sides with the longer answer in more "
            f"than {SIDES_WITH_LENGTH:.0%}, whichever side's it is)"
        )
    always = row["win_rate"] >= ALWAYS and row["longer_preferred"] in (None, 1.0)
    if always and _grown(row["length_ratio"]):
        return (
            f"LENGTH: nearly all answers are longer than the {row['against']}'s and win, and none "
            "that is shorter does: length cannot be told from quality"
        )
    return None


def _policy_fault(row: Row) -> str | None:
    low = row["length_gain_low"]
    if low is None or low <= LENGTH_PAYS or not _grown(row["length_ratio"]):
        return None
    return (
        f"LENGTH: longer answers (over {LONGER:g} times the {row['against']}'s) carry "
        f"{row['length_gain']:.1%} of the win rate (surely over {LENGTH_PAYS:.0%})"
    )


def _control_fault(row: Row, base: Row) -> str | None:
    """Where length control is approximate, differences alone mean something."""
    gaps = [
        own["win_rate"] - own["lc_win_rate"]
        for own in (base, row)
        if own.get("lc_win_rate") is not None
    ]
    if len(gaps) < 2 or gaps[1] - gaps[0] <= LENGTH_PAYS:
        return None
    if not _grown(row["mean_characters"] / base["mean_characters"]):
        return None
    return (
        f"LENGTH: the win rate has outgrown the length-controlled one by {gaps[1] - gaps[0]:.1%} "
        f"since the base (over {LENGTH_PAYS:.0%}), with answers over {LONGER:g} times as long"
    )


def _grown(ratio: float | None) -> bool:
    return ratio is not None and ratio > LONGER


def _judge_fault(row: Row) -> str | None:
    low = row.get("chosen_longer_low")
    if low is None or low <= SIDES_WITH_LENGTH:
        return None
    return (
        "LENGTH: its labels follow length (the chosen answer is surely the longer one in more "
        f"than {SIDES_WITH_LENGTH:.0%} of its pairs)"
    )
