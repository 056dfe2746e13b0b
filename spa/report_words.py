"""What the report's figures say, in sentences."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from spa.contract import left_out
from spa.records import FlaggedSeedPair, Pair
from spa.report import recommend

Row = dict[str, Any]


def in_words(rows: Sequence[Row]) -> list[str]:
    """What the table of rounds says.

    Args:
        rows: from `report.read_rows`.
    """
    last = max((row["round"] for row in rows if row["round"].isdigit()), key=int)
    return [
        *gains_in_words(rows, last),
        f"Recommended: round {recommend(rows)}, the best on development prompts (its test figures "
        "took no part in the choice).",
    ]


def gains_in_words(rows: Sequence[Row], last: str) -> list[str]:
    """Round `last` beside the seed policy and the rival, on the prompts that both answered."""
    by_name = {row["round"]: row for row in rows}
    end, rival = by_name[last], by_name["rival"]
    return [*_over_seed(end), *_over_rival(end, rival), *_at_equal_drift(end, rival)]


def _over_seed(end: Row) -> Iterator[str]:
    gain = end["over_seed"]
    if gain is not None:
        verdict = "no clear difference"
        if _clear(end, "over_seed"):
            verdict = "the rounds gained" if gain > 0 else "the rounds lost"
        yield (
            f"Win rate of round {end['round']} minus that of the seed policy, paired by prompt: "
            f"{_points(end, 'over_seed')}: {verdict}."
        )


def _over_rival(end: Row, rival: Row) -> Iterator[str]:
    gain = end["over_rival"]
    if gain is None:
        return
    if not _clear(end, "over_rival"):
        verdict = "no clear difference, so the rounds have not shown that they are worth their cost"
    elif gain > 0:
        verdict = "the rounds beat it"
    else:
        verdict = "it beats the rounds, which were not worth their cost"
    yield (
        f"The cheap rival, the seed policy amplified without training (gamma "
        f"{rival.get('gamma', 0):g}), has {rival['win_rate']:.1%}. Round {end['round']} minus the "
        f"rival: {_points(end, 'over_rival')}: {verdict}.{_at_the_edge(rival)}"
    )


def _at_the_edge(rival: Row) -> str:
    """The best gamma may lie beyond those tried; then the rival is weaker than it could be."""
    tried = [one["gamma"] for one in rival.get("tried") or []]
    if not tried or rival["gamma"] < max(tried):
        return ""
    return " Its gamma is the largest of those tried, so a larger one in rival.gammas may win more."


def _at_equal_drift(end: Row, rival: Row) -> Iterator[str]:
    """An amplification may win by going further from the base: the one that goes as far."""
    tried = rival.get("tried")
    if tried and end["kl_to_base"] is not None:
        near = min(tried, key=lambda one: abs(one["kl_to_base"] - end["kl_to_base"]))
        own = end["development_win_rate"]
        beside = "" if own is None else f", round {end['round']}'s {own:.1%}"
        yield (
            f"Round {end['round']} is {end['kl_to_base']:.2f} nats from the base, the rival "
            f"{rival['kl_to_base']:.2f}. Of the amplifications tried, gamma {near['gamma']:g} is "
            f"closest to the round's distance ({near['kl_to_base']:.2f} nats); its win rate is "
            f"{near['development_win_rate']:.1%} on development prompts{beside}."
        )


def _points(row: Row, name: str) -> str:
    """A difference of two rates and its interval, in points of 100."""
    mean, low, high = (100 * row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{mean:+.1f} points [{low:+.1f}, {high:+.1f}]"


def _clear(row: Row, name: str) -> bool:
    """Whether 0 lies outside an interval."""
    return bool(row[f"{name}_low"] > 0 or row[f"{name}_high"] < 0)


def seed_flags(seed: Sequence[Pair], flagged: Sequence[FlaggedSeedPair]) -> Row:
    """How many pairs the seed has, how many of them are not trained on, and pairs per reason."""
    reasons = Counter(reason for pair in flagged for reason in pair.reasons)
    return {
        "pairs": len(seed),
        "dropped": len(left_out(flagged)),
        "reasons": dict(sorted(reasons.items())),
    }


def seed_in_words(flags: Row) -> list[str]:
    """A sentence on the seed's pairs, where a data check took some of them out."""
    if not flags["dropped"]:
        return []
    reasons = ", ".join(f"{reason} {count}" for reason, count in flags["reasons"].items())
    return [
        f"{flags['dropped']} of {flags['pairs']} seed pairs failed data checks and were not "
        f"trained on (reasons of all flagged pairs: {reasons}); `spa flagged --round 0` shows them."
    ]


def judges_in_words(rows: Sequence[Row], *, flipped: float, noise: Row | None = None) -> list[str]:
    """What calibration found about each round's judge, and held-out labels about each policy.

    Args:
        rows: from `report.read_rows`.
        flipped: share of the seed's labels that were flipped (`split.flip_seed_labels`).
        noise: what round 0's noise detector made of them (`calibration.seed_noise`).
    """
    judged = [row for row in rows if row["judge_accuracy"] is not None]
    sentences = [sentence for row in judged for sentence in _judge_in_words(row)]
    sentences += [_heldout_in_words(row) for row in rows if row.get("heldout_n")]
    if flipped:
        sentences.append(
            f"{flipped:.0%} of the seed's labels were flipped on purpose, and these judges "
            "learned from them."
        )
    if noise and noise["auroc"] is not None:
        sentences.append(
            f"Of the {noise['n']} seed pairs that round 0's noise detector looked at, "
            f"{noise['wrong_share']:.0%} have a flipped label; its confidence ranks them with an "
            f"AUROC of {noise['auroc']:.2f} (0.5 is chance)."
        )
    return sentences


def _judge_in_words(row: Row) -> Iterator[str]:
    name, right = row["round"], row["judge_accuracy"]
    low, high = row["judge_accuracy_low"], row["judge_accuracy_high"]
    rival, theirs = _cheapest(row)
    beside = "above" if right > theirs else "no better than"
    yield (
        f"The judge of round {name} is right on {right:.1%} [{low:.1%}, {high:.1%}] of its pairs: "
        f"{_against_chance(low, high)}, and {beside} the best of likelihood and length, each used "
        f"in the direction that fits these pairs ({rival}: {theirs:.1%}). {_gap_in_words(row)}"
    )
    if row["label_accuracy"] not in (None, right):
        yield (
            f"Labels of round {name} were flipped on purpose: the judge is right on "
            f"{right:.1%}, the labels trained on are right on {row['label_accuracy']:.1%}."
        )
    if row["noise_auroc"] is not None and row["noise_margin_auroc"] is not None:
        yield (
            f"The noise detector of round {name} ranks its wrong labels with an AUROC of "
            f"{row['noise_auroc']:.2f}, the judge's plain margin with "
            f"{row['noise_margin_auroc']:.2f} (0.5 is chance)."
        )


def _cheapest(row: Row) -> tuple[str, float]:
    """The better of likelihood and length, each in the direction that is right more often."""
    likelihood, shorter = row["likelihood_accuracy"], row["length_accuracy"]
    options = {
        "likelier wins": likelihood,
        "less likely wins": 1 - likelihood,
        "shorter wins": shorter,
        "longer wins": 1 - shorter,
    }
    return max(options.items(), key=lambda option: option[1])


def _heldout_in_words(row: Row) -> str:
    low, high = row["heldout_accuracy_low"], row["heldout_accuracy_high"]
    name = "The rival" if row["round"] == "rival" else f"Round {row['round']}"
    return (
        f"{name}'s implicit reward is right on {row['heldout_accuracy']:.1%} [{low:.1%}, "
        f"{high:.1%}] of {row['heldout_n']} held-out labelled pairs: {_against_chance(low, high)}."
    )


def _against_chance(low: float, high: float) -> str:
    if low > 0.5:
        return "better than chance"
    return "worse than chance" if high < 0.5 else "no clear difference from chance"


def _gap_in_words(row: Row) -> str:
    """An accuracy counts pairs; this says by how much the labels are right."""
    if row["label_gap"] is None:
        return "The annotator only compares: by how much the labels are right is unknown."
    gap, low, high = (row[f"label_gap{end}"] for end in ("", "_low", "_high"))
    sure = (
        "the labels point the right way"
        if low > 0
        else "the labels point the wrong way"
        if high < 0
        else "the labels may be no better than noise"
    )
    return (
        f"The annotator rates the chosen answers {gap:+.3f} [{low:+.3f}, {high:+.3f}] higher than "
        f"the rejected ones: {sure}."
    )
