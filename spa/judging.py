"""Judging: scores of sampled answers, and the preference pairs that follow from them."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from spa.annotation.annotator import Answer, RubricAnnotator
from spa.params import Judge
from spa.preference import (
    Choice,
    best_against_random,
    best_against_worst,
    implicit_reward,
    preference_probability,
)
from spa.records import JudgedPair, Response, Score, pair_hash
from spa.seeds import generator


def score_responses(
    responses: Sequence[Response],
    policy_logps: Sequence[float],
    base_logps: Sequence[float],
    settings: Judge,
    *,
    seed: int,
    round: int,
) -> list[Score]:
    """Score every answer by the judge's method.

    Args:
        responses: the answers.
        policy_logps: log pi_{i-1}(y|x) of each, in nats, summed over its tokens.
        base_logps: log pi_init(y|x) of each.
        settings: the round's `judge` section.
        seed: the pipeline's seed, for `random`.
        round: names the draws of `random`.

    Returns:
        One score per response, in order.
    """
    return [
        Score(
            response_id=response.response_id,
            prompt_id=response.prompt_id,
            policy_logp=policy,
            base_logp=base,
            tokens=len(response.token_ids),
            reward=_reward(response, policy, base, settings, seed=seed, round=round),
        )
        for response, policy, base in zip(responses, policy_logps, base_logps, strict=True)
    ]


def _reward(
    response: Response, policy: float, base: float, settings: Judge, *, seed: int, round: int
) -> float:
    reference = base if settings.reference == "base" else 0.0
    implicit = implicit_reward(
        policy,
        reference,
        characters=len(response.text),
        length_penalty=settings.length_penalty,
    )
    match settings.method:
        case "implicit":
            return implicit
        case "inverted":
            return -implicit
        case "likelihood":
            return implicit_reward(
                policy,
                0.0,
                characters=len(response.text),
                length_penalty=settings.length_penalty,
            )
        case "random":
            return float(generator(seed, "judge", round, response.response_id).normal())
        case "rubric":
            answer = Answer(response.text, response.finish_reason)
            return RubricAnnotator().score(response.prompt, answer)


def make_pairs(
    responses: Sequence[Response],
    scores: Sequence[Score],
    settings: Judge,
    *,
    beta: float,
    seed: int,
    round: int,
) -> list[JudgedPair]:
    """One pair per prompt: the better answer chosen, the other rejected; ties make none.

    Args:
        responses: all answers of a round; those of one prompt in any place.
        scores: their scores, in the same order.
        settings: the round's `judge` section.
        beta: scale of the probability (`train.beta`); no label depends on it.
        seed: the pipeline's seed, for `best_random`.
        round: names its draws.

    Returns:
        Pairs in the order in which their prompts first occur.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, response in enumerate(responses):
        groups[response.prompt_id].append(index)
    pairs = []
    for prompt_id, members in groups.items():
        choice = _choose([scores[i].reward for i in members], settings, seed, round, prompt_id)
        if choice:
            chosen, rejected = (
                responses[members[choice.chosen]],
                responses[members[choice.rejected]],
            )
            pairs.append(_pair(chosen, rejected, choice.margin, settings.method, beta))
    return pairs


def _choose(
    rewards: Sequence[float], settings: Judge, seed: int, round: int, prompt_id: str
) -> Choice | None:
    if len(rewards) < 2:
        return None
    match settings.pairing:
        case "best_worst":
            return best_against_worst(rewards, tie_band=settings.tie_band)
        case "best_random":
            own = generator(seed, "pairing", round, prompt_id)
            return best_against_random(rewards, tie_band=settings.tie_band, generator=own)


def _pair(
    chosen: Response, rejected: Response, margin: float, method: str, beta: float
) -> JudgedPair:
    return JudgedPair(
        pair_id=pair_hash(chosen.prompt, chosen.text, rejected.text),
        prompt_id=chosen.prompt_id,
        prompt=chosen.prompt,
        chosen=chosen.text,
        rejected=rejected.text,
        chosen_finish_reason=chosen.finish_reason,
        rejected_finish_reason=rejected.finish_reason,
        chosen_id=chosen.response_id,
        rejected_id=rejected.response_id,
        margin=margin,
        probability=preference_probability(margin, beta=beta),
        method=method,
    )


def largest_error(known: Sequence[float], again: Sequence[Sequence[float]]) -> float:
    """Largest difference, in nats, between summed log-probabilities and recomputed tokens'."""
    return max((abs(a - math.fsum(b)) for a, b in zip(known, again, strict=True)), default=0.0)


def by_id(responses: Sequence[Response]) -> Mapping[str, Response]:
    """Responses by their id."""
    return {response.response_id: response for response in responses}
