"""The report: one row per policy, and what it says in words."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from spa.contract import left_out
from spa.errors import ArtefactError
from spa.files import read_json
from spa.layout import Layout
from spa.records import SCHEMA_VERSION, FlaggedSeedPair, Pair

EVALUATION = (
    "win_rate",
    "win_rate_low",
    "win_rate_high",
    "against",
    "lc_win_rate",
    "lc_approximate",
    "annotator",
    "n",
    "heldout_accuracy",
    "kl_to_base",
    "gold_reward",
    "mean_tokens",
    "mean_words",
    "finished",
    "repetition",
    "distinct_2",
    "mean_characters",
    "length_ratio",
    "longer_preferred",
    "longer_preferred_low",
    "equal_length_win_rate",
)
CALIBRATION = (
    "judge_accuracy",
    "judge_accuracy_low",
    "judge_accuracy_high",
    "likelihood_accuracy",
    "length_accuracy",
    "label_accuracy",
    "label_gap",
    "label_gap_low",
    "label_gap_high",
    "auroc",
    "brier",
    "chosen_longer_tokens",
    "chosen_longer",
    "chosen_longer_low",
    "equal_length_accuracy",
)
DIGEST = ("kept", "flagged")

FETCH = "dvc pull baseline evaluate_seed rival evaluate calibrate"
"""Brings what `read_rows` reads; DVC cannot, as the report depends on folders that are there."""

Row = dict[str, Any]


def read_rows(layout: Layout, rounds: Sequence[str]) -> list[Row]:
    """One row per policy, in order: base, 0, the rounds of params.yaml, rival.

    What a policy has no figure for is None. Folders of rounds that params.yaml does not have
    (any more) are not read.

    Raises:
        ArtefactError: an evaluation is missing, or a round's calibration.
    """
    names = ["base", "0", *rounds, "rival"]
    wanted = [*map(layout.evaluation, names), *map(layout.calibration, rounds)]
    if missing := [layout.show(folder) for folder in wanted if not folder.is_dir()]:
        raise ArtefactError(
            f"{', '.join(missing)}: not found; wanted all that the report shows; `{FETCH}` where "
            "another machine ran it, else `dvc repro`"
        )
    return [_row(layout, name) for name in names]


def _row(layout: Layout, name: str) -> Row:
    metrics = read_json(layout.evaluation(name) / "metrics.json")
    calibration = layout.calibration(name) / "metrics.json"
    judged = read_json(calibration) if calibration.exists() else {}
    digest = read_json(layout.digest(name)) if layout.digest(name).exists() else {}
    row: Row = {"round": name}
    row |= {key: metrics.get(key) for key in EVALUATION}
    row["development_win_rate"] = metrics["development"].get("win_rate")
    row |= {key: judged.get(key) for key in CALIBRATION}
    row |= {key: digest.get(key) for key in DIGEST}
    if "gamma" in metrics:
        row["gamma"] = metrics["gamma"]
    return row


def recommend(rows: Sequence[Row]) -> str:
    """The round with the highest win rate on development prompts; the earlier one at a tie."""
    trained = [row for row in rows if row["round"].isdigit()]
    best = max(trained, key=lambda row: (row["development_win_rate"] or 0.0, -int(row["round"])))
    return str(best["round"])


def in_words(rows: Sequence[Row]) -> list[str]:
    """What the table says, in sentences."""
    last = max((row["round"] for row in rows if row["round"].isdigit()), key=int)
    return [
        *gains_in_words(rows, last),
        f"Recommended: round {recommend(rows)}, the best on development prompts (its test figures "
        "took no part in the choice).",
    ]


def gains_in_words(rows: Sequence[Row], last: str) -> list[str]:
    """Round `last` beside the seed policy and the rival, in sentences."""
    by_name = {row["round"]: row for row in rows}
    seed, end, rival = by_name["0"], by_name[last], by_name["rival"]
    gain = end["win_rate"] - seed["win_rate"]
    told = "told apart from" if _apart(seed, end) else "not told apart from"
    won = "won" if gain > 0 else "lost" if gain < 0 else "changed"
    if not _apart(end, rival):
        verdict = "is not told apart from it: the rounds have not shown that they earn their cost"
    elif end["win_rate"] > rival["win_rate"]:
        verdict = "beats it"
    else:
        verdict = "is beaten by it: the rounds did not earn their cost"
    return [
        f"The rounds {won} {abs(gain):.1%} win rate over the seed policy; by their intervals round "
        f"{last} is {told} round 0.",
        f"The cheap rival, the seed policy amplified without training (gamma "
        f"{rival.get('gamma', 0):g}), has {rival['win_rate']:.1%}; round {last} {verdict}.",
    ]


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
        f"{flags['dropped']} of {flags['pairs']} seed pairs were not trained on, as data checks "
        f"speak against them (reasons of all flagged ones: {reasons}); `spa flagged --round 0` "
        "shows them."
    ]


def judges_in_words(rows: Sequence[Row], *, flipped: float, noise: Row | None = None) -> list[str]:
    """What calibration found about each round's judge, in sentences.

    Args:
        rows: from `read_rows`.
        flipped: share of the seed's labels that were turned round (`split.flip_seed_labels`).
        noise: what round 0's noise detector made of them (`calibration.seed_noise`).
    """
    sentences = []
    for row in rows:
        if row["judge_accuracy"] is None:
            continue
        low, high = row["judge_accuracy_low"], row["judge_accuracy_high"]
        sure = (
            "better than chance"
            if low > 0.5
            else "worse than chance"
            if high < 0.5
            else "not told apart from chance"
        )
        rivals = max(row["likelihood_accuracy"], row["length_accuracy"])
        beside = "above" if row["judge_accuracy"] > rivals else "no better than"
        sentences.append(
            f"The judge of round {row['round']} is right on {row['judge_accuracy']:.1%} "
            f"[{low:.1%}, {high:.1%}] of its pairs: {sure}, and {beside} the better of likelihood "
            f"and length ({rivals:.1%}). {_gap_in_words(row)}"
        )
    if flipped and sentences:
        sentences.append(
            f"{flipped:.0%} of the seed's labels were turned round on purpose; these judges "
            "learnt from them."
        )
    if noise and noise["auroc"] is not None:
        sentences.append(
            f"Of the {noise['n']} seed pairs that round 0's noise detector looked at, "
            f"{noise['wrong_share']:.0%} have a turned label; its confidence ranks them with an "
            f"AUROC of {noise['auroc']:.2f} (0.5 is chance)."
        )
    return sentences


def _gap_in_words(row: Row) -> str:
    """An accuracy counts pairs; this says by how much the labels are right."""
    if row["label_gap"] is None:
        return "Gold only compares answers: by how much the labels are right is not known."
    gap, low, high = (row[f"label_gap{end}"] for end in ("", "_low", "_high"))
    sure = (
        "the labels point the right way"
        if low > 0
        else "the labels point the wrong way"
        if high < 0
        else "the labels may point nowhere"
    )
    return f"Gold rates its chosen answers {gap:+.3f} [{low:+.3f}, {high:+.3f}] higher: {sure}."


def _apart(first: Row, second: Row) -> bool:
    """Whether two win rates' intervals do not overlap."""
    return bool(
        first["win_rate_high"] < second["win_rate_low"]
        or second["win_rate_high"] < first["win_rate_low"]
    )


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV; `step` places the policies on an axis: base -1, rounds, no rival."""
    out = io.StringIO()
    plotted = [row for row in rows if row["round"] != "rival"]
    writer = csv.DictWriter(out, ["step", *plotted[0]], lineterminator="\n")
    writer.writeheader()
    for row in plotted:
        writer.writerow({"step": -1 if row["round"] == "base" else row["round"], **row})
    return out.getvalue()


def to_table(rows: Sequence[Row]) -> str:
    """The rows as fixed-width text, for a terminal."""
    header = ["round", "win rate [95 %]", "held-out", "judge", "likelih.", "KL", "tokens"]
    header += ["finished", "kept", "flagged"]
    lines = [header, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def _cells(row: Row) -> list[str]:
    def percent(key: str) -> str:
        return "-" if row[key] is None else f"{row[key]:.1%}"

    def number(key: str, digits: int) -> str:
        return "-" if row[key] is None else f"{row[key]:.{digits}f}"

    interval = f"[{row['win_rate_low']:.1%}, {row['win_rate_high']:.1%}]"
    return [
        row["round"],
        f"{percent('win_rate')} {interval}",
        percent("heldout_accuracy"),
        percent("judge_accuracy"),
        percent("likelihood_accuracy"),
        number("kl_to_base", 2),
        number("mean_tokens", 1),
        percent("finished"),
        number("kept", 0),
        number("flagged", 0),
    ]


def summary(rows: Sequence[Row]) -> Mapping[str, Any]:
    """What summary.json holds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "rounds": list(rows),
        "recommended_round": recommend(rows),
    }
