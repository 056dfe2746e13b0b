"""Evaluation of one policy: its answers to held-out prompts, against the base's, and its drift."""

import math
from collections.abc import Sequence
from itertools import combinations, repeat
from typing import Any

from spa.annotation.annotator import Annotator, Answer, Comparison, Rater, as_instruction, compare
from spa.degeneracy import distinct_pairs, repetition
from spa.errors import AnnotationError, ArtefactError
from spa.metrics import Interval, bootstrap, bounded
from spa.records import Message, Response

POOLS = ("development", "test")
NULL_ANSWER = (
    "Thank you for asking. Here is a complete, correct and helpful answer to your request."
)


def outputs_json(responses: dict[str, list[Response]], generator: str) -> list[dict[str, Any]]:
    """Answers as AlpacaEval's outputs: instruction, output, generator, dataset, and more.

    `prompt` is there where the instruction does not hold all of it: system or earlier turns.
    """
    return [
        {
            "dataset": pool,
            "finish_reason": response.finish_reason,
            "generator": generator,
            "instruction": as_instruction(response.prompt),
            "output": response.text,
            "prompt_id": response.prompt_id,
            "tokens": len(response.token_ids),
            **({"prompt": response.prompt} if len(response.prompt) > 1 else {}),
        }
        for pool in POOLS
        for response in responses.get(pool, [])
    ]


def annotate(
    base: Sequence[dict[str, Any]],
    policy: Sequence[dict[str, Any]],
    annotator: Annotator,
    *,
    name: str,
) -> list[dict[str, Any]]:
    """Compare a policy's outputs with the base's, prompt by prompt.

    Args:
        base: outputs of the base.
        policy: outputs of the policy.
        annotator: what compares.
        name: the annotator's.

    Returns:
        AlpacaEval's annotations: `preference` from 1 (the base's answer) to 2 (the policy's),
        1.5 for a tie, None where the annotator named neither; and `score`, the annotator's own
        of the policy's answer, None where it only compares.

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
    scores: Sequence[float | None] = (
        annotator.rate(list(zip(prompts, map(_answer, policy), strict=True)))
        if isinstance(annotator, Rater)
        else [None] * len(prompts)
    )
    preferences = annotator.prefer(comparisons)
    return [
        {
            "annotator": name,
            "dataset": p["dataset"],
            "generator_1": b["generator"],
            "generator_2": p["generator"],
            "instruction": p["instruction"],
            "output_1": b["output"],
            "output_2": p["output"],
            "preference": None if math.isnan(preference) else 1 + preference,
            "prompt_id": p["prompt_id"],
            "score": score,
        }
        for b, p, preference, score in zip(base, policy, preferences, scores, strict=True)
    ]


def _prompt(row: dict[str, Any]) -> list[Message]:
    found: list[Message] = row.get("prompt") or [{"role": "user", "content": row["instruction"]}]
    return found


def _answer(row: dict[str, Any]) -> Answer:
    return Answer(row["output"], row["finish_reason"])


def summarise(
    outputs: Sequence[dict[str, Any]], annotations: Sequence[dict[str, Any]], *, seed: int
) -> dict[str, Any]:
    """Figures of one policy on the test prompts, and under `development` on the others.

    Rates are 0 to 1; a tie counts one half; the interval is a 95 % bootstrap over prompts, or
    Wilson's where all are won or lost.
    `discrete_win_rate` takes each preference for a win, a tie or a loss, as AlpacaEval's does.
    """
    return {
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
    wins = [row["preference"] - 1 for row in annotated if row["preference"] is not None]
    if not rows:
        return {"n": 0}
    if not wins:
        raise AnnotationError(
            f"{annotations[0]['annotator']}: named a better answer to none of {len(rows)} {pool} "
            "prompts; wanted preferences; choose another annotator"
        )
    interval = bounded(wins, seed=seed)
    count = len(rows)
    return {
        "n": interval.n,
        "win_rate": interval.mean,
        "win_rate_low": interval.low,
        "win_rate_high": interval.high,
        "discrete_win_rate": sum(map(compare, repeat(0.5), wins)) / interval.n,
        "gold_reward": _mean([row["score"] for row in annotated]),
        "mean_tokens": sum(row["tokens"] for row in rows) / count,
        "mean_words": sum(len(row["output"].split()) for row in rows) / count,
        "finished": sum(row["finish_reason"] == "stop" for row in rows) / count,
        "repetition": sum(repetition(row["output"]) for row in rows) / count,
        "distinct_2": distinct_pairs([row["output"] for row in rows]),
    }


def _mean(scores: Sequence[float | None]) -> float | None:
    """The mean of scores, None where the annotator gives none."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def beside(annotations: dict[str, list[dict[str, Any]]], *, seed: int) -> dict[str, Any]:
    """What every annotator says of a policy on the test prompts, and how far any two agree.

    Args:
        annotations: of one policy, by annotator.
        seed: names the bootstrap.

    Returns:
        `annotators`: win rate with its interval, by name, None where it named no better answer.
        `agreement`: for any two of them the
        share of prompts on which both prefer the same answer, of the `n` where neither calls a
        tie.
    """
    preferences = {
        name: [
            math.nan if row["preference"] is None else row["preference"] - 1
            for row in rows
            if row["dataset"] == "test"
        ]
        for name, rows in annotations.items()
    }
    return {
        "annotators": {name: _rate(own, seed) for name, own in preferences.items()},
        "agreement": [
            {"annotators": list(pair), **_agreement(*(preferences[name] for name in pair))}
            for pair in combinations(preferences, 2)
        ],
    }


def _rate(preferences: Sequence[float], seed: int) -> dict[str, float | None]:
    named = [preference for preference in preferences if not math.isnan(preference)]
    rate = bounded(named, seed=seed) if named else None
    return {
        "win_rate": rate.mean if rate else None,
        "win_rate_low": rate.low if rate else None,
        "win_rate_high": rate.high if rate else None,
        "n": len(named),
    }


def _agreement(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    decided = [
        (a > 0.5) == (b > 0.5)
        for a, b in zip(first, second, strict=True)
        if a != 0.5 and b != 0.5 and not math.isnan(a + b)  # a failed call has no opinion
    ]
    return {"agreement": sum(decided) / len(decided) if decided else None, "n": len(decided)}


def null_win_rate(
    base: Sequence[dict[str, Any]], annotator: Annotator, *, seed: int
) -> dict[str, float | None]:
    """How often an annotator prefers one constant answer, whatever was asked, to the base's.

    Above one half it can be gamed: what it likes is no answer to the question. `win_rate` with its
    interval and `n`, None where it names neither of any two.

    Source: Zheng et al., "Cheating automatic LLM benchmarks: null models achieve high win rates",
    arXiv:2410.07137.
    """
    null = Answer(NULL_ANSWER, "stop")
    comparisons = [Comparison(_prompt(row), _answer(row), null) for row in base]
    return _rate(annotator.prefer(comparisons), seed)


def kl_estimate(
    policy_logps: Sequence[float], base_logps: Sequence[float], *, seed: int
) -> Interval:
    """Mean of log pi(y|x) - log pi_base(y|x) over the policy's own answers, in nats per answer,
    with its 95 % bootstrap interval over answers.

    It estimates KL(pi || base) for answers as they are sampled in evaluation; below
    temperature 1 these are likelier than the policy's own draws, so that it is no exact KL.
    """
    return bootstrap([p - b for p, b in zip(policy_logps, base_logps, strict=True)], seed=seed)
