"""Calibration: a judge's labels, and its cheapest rivals' labels, against an annotator's."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

from spa import reliability
from spa.annotation.annotator import Annotator, Answer, Comparison, Rater
from spa.metrics import accuracy, bootstrap, bounded
from spa.records import JudgedPair, Response, Score, TrainingRow

JUDGES = ("judge", "likelihood", "length")
ALIKE = 5
"""Two answers are of like length where they differ by no more than this many tokens."""

Row = dict[str, Any]


def calibrate(
    pairs: Sequence[JudgedPair],
    scores: Sequence[Score],
    responses: Sequence[Response],
    annotator: Annotator,
    log: Sequence[TrainingRow] = (),
) -> list[Row]:
    """What every judge and the annotator say of each pair.

    Args:
        pairs: a round's pairs, before the data checks.
        scores: the scores that they came from.
        responses: the answers.
        annotator: says what is right.
        log: the training log of the policy that was trained on those of them that were kept.

    Returns:
        One row per pair whose margins are finite numbers; the others are no label, and `filter`
        flags them (`non_finite`).
        `gold` is how much the annotator prefers the chosen answer (0 to 1,
        0.5 a tie), `gap` by how much it rates it higher than the rejected one, None where it
        rates nothing and only compares; the margins are
        positive where that judge prefers the chosen answer too:
        `judge` by its own reward, `likelihood` by the policy's log-probability (nats),
        `length` by the answer having fewer tokens. `confidence` and `flagged` are the noise
        detector's when it last saw the pair, None where it never did.
    """
    known = {score.response_id: score for score in scores}
    seen = {row.pair_id: row for row in log if row.threshold is not None}
    likelihoods = [
        known[pair.chosen_id].policy_logp - known[pair.rejected_id].policy_logp for pair in pairs
    ]
    finite = [
        (pair, likelihood)
        for pair, likelihood in zip(pairs, likelihoods, strict=True)
        if math.isfinite(pair.margin) and math.isfinite(likelihood)
    ]
    contests = _contests([pair for pair, _ in finite], responses)
    gold = annotator.prefer(contests)
    gaps = _gaps(annotator, contests)
    return [
        {
            "pair_id": pair.pair_id,
            "prompt_id": pair.prompt_id,
            "gold": gold[i],
            "gap": gaps[i],
            "judge": pair.margin,
            "likelihood": likelihood,
            "length": known[pair.rejected_id].tokens - known[pair.chosen_id].tokens,
            "confidence": seen[pair.pair_id].confidence if pair.pair_id in seen else None,
            "flagged": seen[pair.pair_id].flagged if pair.pair_id in seen else None,
        }
        for i, (pair, likelihood) in enumerate(finite)
    ]


def _contests(pairs: Sequence[JudgedPair], responses: Sequence[Response]) -> list[Comparison]:
    """What the annotator is asked of each pair: rejected first, chosen second."""
    prompts = {response.prompt_id: response.prompt for response in responses}
    return [
        Comparison(
            prompts[pair.prompt_id],
            Answer(pair.rejected, pair.rejected_finish_reason),
            Answer(pair.chosen, pair.chosen_finish_reason),
        )
        for pair in pairs
    ]


def _gaps(annotator: Annotator, contests: Sequence[Comparison]) -> Sequence[float | None]:
    if not isinstance(annotator, Rater):
        return [None] * len(contests)
    rejected = annotator.rate([(contest.prompt, contest.first) for contest in contests])
    chosen = annotator.rate([(contest.prompt, contest.second) for contest in contests])
    return [high - low for high, low in zip(chosen, rejected, strict=True)]


def correct(rows: Sequence[Mapping[str, Any]], judge: str) -> list[float]:
    """Whether a judge is right on each pair that the annotator does not call a tie.

    1 right, 0 wrong, 0.5 where the judge has no opinion.
    """
    return [
        right if row["gold"] > 0.5 else 1 - right
        for row, right in zip(rows, accuracy([row[judge] for row in rows]), strict=True)
        if row["gold"] != 0.5
    ]


def summarise(
    rows: Sequence[Row],
    *,
    seed: int,
    method: str,
    prompts: int | None = None,
    non_finite: int = 0,
) -> dict[str, Any]:
    """Figures of every judge; pairs that the annotator calls a tie are left out of accuracies.

    `label_accuracy` is how often the labels trained on are right: the judge's accuracy,
    unless labels were turned round (`judge.flip_labels`). An accuracy counts pairs, not by how
    much: `label_gap` is the mean over all pairs of how much higher the annotator rates the
    chosen answer, and may be below 0 where most labels are right.

    Args:
        rows: from `calibrate`.
        seed: names the bootstrap.
        method: the judge's.
        prompts: how many prompts were judged; those without a pair were the judge's ties.
        non_finite: pairs beside `rows` that have a margin which is no finite number.
    """
    count = len(rows)
    figures: dict[str, Any] = {
        "method": method,
        "pairs": count,
        "ties": sum(row["gold"] == 0.5 for row in rows),
        "n": sum(row["gold"] != 0.5 for row in rows),
        "non_finite": non_finite,
        "judge_tie_rate": 1 - (count + non_finite) / prompts if prompts else None,
    }
    for judge in JUDGES:
        right = correct(rows, judge)
        interval = bounded(right, seed=seed) if right else None
        figures[f"{judge}_accuracy"] = interval.mean if interval else None
        figures[f"{judge}_accuracy_low"] = interval.low if interval else None
        figures[f"{judge}_accuracy_high"] = interval.high if interval else None
    gaps = [row["gap"] for row in rows if row["gap"] is not None]
    if gaps:
        gap = bootstrap(gaps, seed=seed)
        figures |= {"label_gap": gap.mean, "label_gap_low": gap.low, "label_gap_high": gap.high}
    figures |= _length(rows, seed)
    decided = [row for row in rows if row["gold"] != 0.5]
    if decided:
        figures["label_accuracy"] = sum(row["gold"] > 0.5 for row in decided) / len(decided)
        figures |= _trust(decided)
        figures["agreement"] = _agreement(decided)
        figures["noise"] = _noise(decided)
    return figures


def _length(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """By how many tokens chosen answers are longer, in what share of the pairs of unequal length
    they are, and the judge's accuracy where lengths are alike."""
    unequal = [float(row["length"] < 0) for row in rows if row["length"]]
    share = bounded(unequal, seed=seed) if unequal else None
    alike = correct([row for row in rows if abs(row["length"]) <= ALIKE], "judge")
    return {
        "chosen_longer_tokens": sum(-row["length"] for row in rows) / len(rows) if rows else None,
        "chosen_longer": share.mean if share else None,
        "chosen_longer_low": share.low if share else None,
        "equal_length_accuracy": sum(alike) / len(alike) if alike else None,
        "equal_length_n": len(alike),
    }


def _trust(rows: Sequence[Row]) -> dict[str, Any]:
    """What the judge's margins are worth: its own preference, whatever became of the label."""
    towards = [-1 if row["judge"] < 0 else 1 for row in rows]
    return reliability.trust(
        [abs(row["judge"]) for row in rows],
        correct(rows, "judge"),
        [-row["length"] * side for row, side in zip(rows, towards, strict=True)],
        [reliability.in_first_fold(row["pair_id"]) for row in rows],
    )


def _agreement(rows: Sequence[Row]) -> dict[str, float | None]:
    """Share of pairs on which two judges prefer the same answer, of those both decide."""
    found: dict[str, float | None] = {}
    for first, second in combinations(JUDGES, 2):
        both = [row[first] * row[second] > 0 for row in rows if row[first] and row[second]]
        found[f"{first}-{second}"] = sum(both) / len(both) if both else None
    return found


def seed_noise(log: Sequence[TrainingRow], flipped: Collection[str]) -> Row | None:
    """The noise detector of round 0 against the seed labels that were turned round on purpose.

    Args:
        log: round 0's training log; the detector watches there and softens nothing.
        flipped: ids of the pairs with a turned label (`split.flip_seed_labels`).

    Returns:
        Precision, recall and AUROC of its last look at each pair; None where no label was
        turned or the detector never looked.
    """
    seen = {row.pair_id: row for row in log if row.threshold is not None}
    if not flipped or not seen:
        return None
    wrong = [name in flipped for name in seen]
    return {
        "n": len(seen),
        **reliability.detection([row.flagged for row in seen.values()], wrong),
        "auroc": reliability.auroc([-row.confidence for row in seen.values()], wrong),
    }


def _noise(rows: Sequence[Row]) -> Mapping[str, float | int | None] | None:
    """The noise detector against wrong labels, beside a threshold on the judge's margin."""
    seen = [row for row in rows if row["confidence"] is not None]
    if not seen:
        return None
    wrong = [row["gold"] < 0.5 for row in seen]
    by_margin = sorted(range(len(seen)), key=lambda i: abs(seen[i]["judge"]))
    least = set(by_margin[: sum(row["flagged"] for row in seen)])
    peer = reliability.detection([i in least for i in range(len(seen))], wrong)
    return {
        "n": len(seen),
        **reliability.detection([row["flagged"] for row in seen], wrong),
        "auroc": reliability.auroc([-row["confidence"] for row in seen], wrong),
        "margin_auroc": reliability.auroc([-abs(row["judge"]) for row in seen], wrong),
        "margin_precision": peer["precision"],
        "margin_recall": peer["recall"],
    }
