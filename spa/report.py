"""The report: one row per policy."""

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from spa.comparison import compare_policies, read_policy_annotations
from spa.errors import ArtefactError, InputError
from spa.files import read_json
from spa.layout import Layout
from spa.records import SCHEMA_VERSION

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
    "heldout_accuracy_low",
    "heldout_accuracy_high",
    "heldout_n",
    "kl_to_base",
    "kl_to_base_low",
    "kl_to_base_high",
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
    "length_gain",
    "length_gain_low",
)
CALIBRATION = (
    "judge_accuracy",
    "judge_accuracy_low",
    "judge_accuracy_high",
    "likelihood_accuracy",
    "likelihood_accuracy_low",
    "likelihood_accuracy_high",
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
NOISE = ("precision", "recall", "auroc", "margin_auroc")
DIGEST = ("kept", "flagged")
GAINS = {"over_seed": "0", "over_rival": "rival"}
"""Whom a trained round is set against, prompt by prompt."""

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
    rows = [_row(layout, name) for name in names]
    for row in rows:
        for key, other in GAINS.items():
            row |= _gain(layout, key, other, row["round"])
    return rows


def _row(layout: Layout, name: str) -> Row:
    metrics = read_json(layout.evaluation(name) / "metrics.json")
    calibration = layout.calibration(name) / "metrics.json"
    judged = read_json(calibration) if calibration.exists() else {}
    digest = read_json(layout.digest(name)) if layout.digest(name).exists() else {}
    row: Row = {"round": name}
    row |= {key: metrics.get(key) for key in EVALUATION}
    row["development_win_rate"] = metrics["development"].get("win_rate")
    row |= {key: judged.get(key) for key in CALIBRATION}
    noise = judged.get("noise") or {}
    row |= {f"noise_{key}": noise.get(key) for key in NOISE}
    row |= {key: digest.get(key) for key in DIGEST}
    row |= {key: metrics[key] for key in ("gamma", "tried") if key in metrics}
    return row


def _gain(layout: Layout, key: str, other: str, name: str) -> Row:
    """Win rate of a trained round minus another policy's, paired by prompt, with its interval;
    None for other policies, and where no annotator compared both."""
    found: Row = dict.fromkeys((key, f"{key}_low", f"{key}_high"))
    if name.isdigit() and name != other:
        with suppress(InputError):
            first, second = (read_policy_annotations(layout, policy) for policy in (other, name))
            gap = compare_policies(first, second, seed=0)
            found = {key: gap.difference, f"{key}_low": gap.low, f"{key}_high": gap.high}
    return found


def recommend(rows: Sequence[Row]) -> str:
    """The round with the highest win rate on development prompts; the earlier one at a tie."""
    trained = [row for row in rows if row["round"].isdigit()]
    best = max(trained, key=lambda row: (row["development_win_rate"] or 0.0, -int(row["round"])))
    return str(best["round"])


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
