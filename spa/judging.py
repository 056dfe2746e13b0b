"""Judging: scores of sampled answers, and the preference pairs that follow from them."""

import math
from collections import defaultdict
from collections.abc import Sequence

from spa.annotation.annotator import Annotator, Answer, Rater, rate_by_contest
from spa.params import Judge
from spa.preference import (
    Choice,
    balancing_penalty,
    best_against_random,
    best_against_worst,
    implicit_reward,
    penalised,
    preference_probability,
)
from spa.records import JudgedPair, Response, Score, pair_hash
from spa.seeds import generator


def log_ratio_rewards(
    responses: Sequence[Response],
    policy_logps: Sequence[float],
    reference_logps: Sequence[float],
    settings: Judge,
    *,
    seed: int,
    round: int,
) -> list[float]:
    """Rewards of the methods that need no annotator, before any length penalty.

    Args:
        responses: the answers.
        policy_logps: log pi_{i-1}(y|x) of each, in nats, summed over its tokens.
        reference_logps: the same under what the judge compares with; zeros for none.
        settings: the round's `judge` section.
        seed: the pipeline's seed, for `random`.
        round: names the draws of `random`.
    """
    implicit = list(map(implicit_reward, policy_logps, reference_logps))
    match settings.method:
        case "implicit":
            return implicit
        case "inverted":
            return [-reward for reward in implicit]
        case "likelihood":
            return list(policy_logps)
        case "random":
            return [
                float(generator(seed, "judge", round, r.response_id).normal()) for r in responses
            ]
    raise ValueError(f"{settings.method} needs an annotator")


def ratings(responses: Sequence[Response], rater: Rater) -> list[float]:
    """An annotator's number for each answer by itself."""
    return rater.rate([(r.prompt, _answer(r)) for r in responses])


def contest_ratings(responses: Sequence[Response], annotator: Annotator) -> list[float]:
    """Each answer's mean log-odds (nats) of being preferred to the others of its prompt."""
    groups = [members for members in _by_prompt(responses) if len(members) > 1]
    questions = [(responses[m[0]].prompt, [_answer(responses[i]) for i in m]) for m in groups]
    found = [0.0] * len(responses)
    for members, own in zip(groups, rate_by_contest(annotator, questions), strict=True):
        for index, rating in zip(members, own, strict=True):
            found[index] = rating
    return found


def length_penalty(
    responses: Sequence[Response],
    rewards: Sequence[float],
    settings: Judge,
    *,
    seed: int,
    round: int,
) -> float:
    """Nats per character that `judge.length_penalty` asks for; `auto` is found here.

    It balances the very pairs that `make_pairs` makes with this seed and round, but for those of
    a prompt with a reward that is no finite number, which no penalty changes.
    """
    if settings.length_penalty != "auto":
        return settings.length_penalty
    groups = [own for own in _by_prompt(responses) if all(math.isfinite(rewards[i]) for i in own)]

    def choose(place: int, own: Sequence[float]) -> Choice | None:
        return _choose(own, settings, seed, round, responses[groups[place][0]].prompt_id)

    return balancing_penalty(
        [
            ([rewards[i] for i in members], [len(responses[i].text) for i in members])
            for members in groups
        ],
        choose,
    )


def make_scores(
    responses: Sequence[Response],
    policy_logps: Sequence[float],
    base_logps: Sequence[float],
    rewards: Sequence[float],
    *,
    penalty: float = 0.0,
) -> list[Score]:
    """One score per response, in order; the reward less `penalty` for each character."""
    characters = [len(response.text) for response in responses]
    return [
        Score(
            response_id=response.response_id,
            prompt_id=response.prompt_id,
            policy_logp=policy,
            base_logp=base,
            tokens=len(response.token_ids),
            reward=reward,
        )
        for response, policy, base, reward in zip(
            responses,
            policy_logps,
            base_logps,
            penalised(rewards, characters, penalty),
            strict=True,
        )
    ]


def _by_prompt(responses: Sequence[Response]) -> list[list[int]]:
    """Positions of each prompt's answers, prompts in the order in which they first occur."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, response in enumerate(responses):
        groups[response.prompt_id].append(index)
    return list(groups.values())


def _answer(response: Response) -> Answer:
    return Answer(response.text, response.finish_reason)


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
    pairs = []
    for members in _by_prompt(responses):
        prompt_id = responses[members[0]].prompt_id
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
