"""Evaluation of one policy: its answers to held-out prompts, against the base's, and its drift."""

import math
from collections.abc import Sequence
from typing import Any

from spa.annotation.annotator import Answer, Comparison
from spa.annotation.rubric_annotator import RubricAnnotator
from spa.encoding import TokenSequence
from spa.errors import ArtefactError
from spa.logprobs import score
from spa.metrics import accuracy, bootstrap
from spa.models import Policy
from spa.records import Message, Pair, Response

POOLS = ("development", "test")


def outputs_json(responses: dict[str, list[Response]], generator: str) -> list[dict[str, Any]]:
    """Answers as AlpacaEval's outputs: instruction, output, generator, dataset, and more."""
    return [
        {
            "dataset": pool,
            "finish_reason": response.finish_reason,
            "generator": generator,
            "instruction": response.prompt[-1]["content"],
            "output": response.text,
            "prompt_id": response.prompt_id,
            "tokens": len(response.token_ids),
        }
        for pool in POOLS
        for response in responses.get(pool, [])
    ]


def annotate(
    base: Sequence[dict[str, Any]], policy: Sequence[dict[str, Any]], annotator: RubricAnnotator
) -> list[dict[str, Any]]:
    """Compare a policy's outputs with the base's, prompt by prompt.

    Returns:
        AlpacaEval's annotations: `preference` from 1 (the base's answer) to 2 (the policy's),
        1.5 for a tie; and `score`, the annotator's own of the policy's answer.

    Raises:
        ArtefactError: both did not answer the same prompts in the same order.
    """
    if [row["prompt_id"] for row in base] != [row["prompt_id"] for row in policy]:
        raise ArtefactError(
            "data/evaluation: base and policy did not answer the same prompts; run `dvc repro`"
        )
    prompts = [_prompt(row) for row in policy]
    comparisons = [
        Comparison(prompt, _answer(b), _answer(p))
        for prompt, b, p in zip(prompts, base, policy, strict=True)
    ]
    scores = annotator.rate(list(zip(prompts, map(_answer, policy), strict=True)))
    preferences = annotator.prefer(comparisons)
    return [
        {
            "annotator": "rubric",
            "dataset": p["dataset"],
            "generator_1": b["generator"],
            "generator_2": p["generator"],
            "instruction": p["instruction"],
            "output_1": b["output"],
            "output_2": p["output"],
            "preference": 1 + preference,
            "prompt_id": p["prompt_id"],
            "score": score,
        }
        for b, p, preference, score in zip(base, policy, preferences, scores, strict=True)
    ]


def _prompt(row: dict[str, Any]) -> list[Message]:
    return [{"role": "user", "content": row["instruction"]}]


def _answer(row: dict[str, Any]) -> Answer:
    return Answer(row["output"], row["finish_reason"])


def summarise(
    outputs: Sequence[dict[str, Any]], annotations: Sequence[dict[str, Any]], *, seed: int
) -> dict[str, Any]:
    """Figures of one policy on the test prompts, and under `development` on the others.

    Rates are 0 to 1; a tie counts one half; the interval is a 95 % bootstrap over prompts.
    """
    return {
        "annotator": "rubric",
        **_figures(outputs, annotations, "test", seed),
        "development": _figures(outputs, annotations, "development", seed),
    }


def _figures(
    outputs: Sequence[dict[str, Any]],
    annotations: Sequence[dict[str, Any]],
    pool: str,
    seed: int,
) -> dict[str, Any]:
    rows = [row for row in outputs if row["dataset"] == pool]
    annotated = [row for row in annotations if row["dataset"] == pool]
    wins = [row["preference"] - 1 for row in annotated]
    if not rows:
        return {"n": 0}
    interval = bootstrap(wins, seed=seed)
    count = len(rows)
    return {
        "n": count,
        "win_rate": interval.mean,
        "win_rate_low": interval.low,
        "win_rate_high": interval.high,
        "gold_reward": sum(row["score"] for row in annotated) / count,
        "mean_tokens": sum(row["tokens"] for row in rows) / count,
        "mean_words": sum(len(row["output"].split()) for row in rows) / count,
        "finished": sum(row["finish_reason"] == "stop" for row in rows) / count,
    }


def kl_estimate(policy_logps: Sequence[float], base_logps: Sequence[float]) -> float:
    """Mean of log pi(y|x) - log pi_base(y|x) over the policy's own answers, in nats per answer.

    It estimates KL(pi || base) for answers as they are sampled in evaluation; below
    temperature 1 these are likelier than the policy's own draws, so that it is no exact KL.
    """
    return math.fsum(p - b for p, b in zip(policy_logps, base_logps, strict=True)) / len(base_logps)


def pair_logps(
    policy: Policy, pairs: Sequence[Pair], *, token_budget: int
) -> list[tuple[float, float]]:
    """Log-probabilities of each pair's chosen and rejected answer, in nats, summed."""
    sequences: list[TokenSequence] = []
    for pair in pairs:
        sequences += [
            policy.encoder.sequence(pair.prompt, pair.chosen, pair.chosen_finish_reason),
            policy.encoder.sequence(pair.prompt, pair.rejected, pair.rejected_finish_reason),
        ]
    rows = score(policy.model, sequences, token_budget=token_budget, progress="gold pairs")
    sums = [math.fsum(row) for row in rows]
    return [(sums[2 * i], sums[2 * i + 1]) for i in range(len(pairs))]


def heldout_accuracy(
    policy: Sequence[tuple[float, float]], base: Sequence[tuple[float, float]]
) -> float | None:
    """Share of gold pairs whose chosen answer has the higher implicit reward; ties one half."""
    if not policy:
        return None
    margins = [(p[0] - b[0]) - (p[1] - b[1]) for p, b in zip(policy, base, strict=True)]
    return sum(accuracy(margins)) / len(margins)
