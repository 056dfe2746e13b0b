"""Calibration: a judge's labels, and its cheapest rivals' labels, against an annotator's."""

from collections.abc import Sequence
from typing import Any

from spa.annotation.annotator import Annotator, Answer, Comparison
from spa.metrics import accuracy, bootstrap
from spa.records import JudgedPair, Response, Score

JUDGES = ("judge", "likelihood", "length")


def calibrate(
    pairs: Sequence[JudgedPair],
    scores: Sequence[Score],
    responses: Sequence[Response],
    annotator: Annotator,
) -> list[dict[str, Any]]:
    """What every judge and the annotator say of each pair.

    Returns:
        One row per pair. `gold` is how much the annotator prefers the chosen answer (0 to 1,
        0.5 a tie); the margins are positive where that judge prefers the chosen answer too:
        `judge` by its own reward, `likelihood` by the policy's log-probability (nats),
        `length` by the answer having fewer tokens.
    """
    known = {score.response_id: score for score in scores}
    prompts = {response.prompt_id: response.prompt for response in responses}
    gold = annotator.prefer(
        [
            Comparison(
                prompts[pair.prompt_id],
                Answer(pair.rejected, pair.rejected_finish_reason),
                Answer(pair.chosen, pair.chosen_finish_reason),
            )
            for pair in pairs
        ]
    )
    return [
        {
            "pair_id": pair.pair_id,
            "prompt_id": pair.prompt_id,
            "gold": preference,
            "judge": pair.margin,
            "likelihood": known[pair.chosen_id].policy_logp - known[pair.rejected_id].policy_logp,
            "length": known[pair.rejected_id].tokens - known[pair.chosen_id].tokens,
        }
        for pair, preference in zip(pairs, gold, strict=True)
    ]


def correct(rows: Sequence[dict[str, Any]], judge: str) -> list[float]:
    """Whether a judge is right on each pair that the annotator does not call a tie.

    1 right, 0 wrong, 0.5 where the judge has no opinion.
    """
    return [
        right if row["gold"] > 0.5 else 1 - right
        for row, right in zip(rows, accuracy([row[judge] for row in rows]), strict=True)
        if row["gold"] != 0.5
    ]


def summarise(rows: Sequence[dict[str, Any]], *, seed: int, method: str) -> dict[str, Any]:
    """Accuracy of every judge with a 95 % bootstrap interval over pairs; ties are left out."""
    figures: dict[str, Any] = {
        "method": method,
        "pairs": len(rows),
        "ties": sum(row["gold"] == 0.5 for row in rows),
        "n": sum(row["gold"] != 0.5 for row in rows),
    }
    for judge in JUDGES:
        right = correct(rows, judge)
        interval = bootstrap(right, seed=seed) if right else None
        figures[f"{judge}_accuracy"] = interval.mean if interval else None
        figures[f"{judge}_accuracy_low"] = interval.low if interval else None
        figures[f"{judge}_accuracy_high"] = interval.high if interval else None
    return figures
