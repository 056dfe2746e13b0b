"""What the length limits would refuse, cut or overflow, counted on the pools themselves."""

from collections.abc import Sequence

from spa.doctor.finding import Finding, faults_or_ok, note
from spa.encoding import Encoder
from spa.params import Params
from spa.records import Pair, Prompt
from spa.splits import Pools


def check_budget(
    encoder: Encoder, params: Params, pools: Pools, context: int | None
) -> list[Finding]:
    """Prompts and answers against train.max_length, max_new_tokens and the model's context.

    Args:
        encoder: of the base.
        params: the pipeline's.
        pools: what `split` would draw.
        context: most tokens that the model can read, None where it does not say.
    """
    seed, gold = _pairs(encoder, pools.seed), _pairs(encoder, pools.gold)
    faults = [*_seed_faults(params, seed), *_round_faults(encoder, params, pools, context)]
    held_out = _prompts(encoder, [*pools.test, *pools.development])
    room = params.evaluate.max_new_tokens
    faults += _beyond("held-out prompts", held_out, room, "evaluate.max_new_tokens", context)
    faults += _beyond("seed pairs", [sum(pair) for pair in seed], 0, "split.seed_pairs", context)
    faults += _beyond("gold pairs", [sum(pair) for pair in gold], 0, "", context)
    findings = faults_or_ok("lengths", faults, "prompts and labelled answers are within all limits")
    return findings + _refusable(encoder, params, pools) + _cut(params, [*seed, *gold])


def _pairs(encoder: Encoder, pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    """Tokens of each pair's prompt and of its longer answer."""
    return [
        (
            len(encoder.prompt(pair.prompt)),
            max(
                len(encoder.answer(pair.chosen, pair.chosen_finish_reason)),
                len(encoder.answer(pair.rejected, pair.rejected_finish_reason)),
            ),
        )
        for pair in pairs
    ]


def _prompts(encoder: Encoder, prompts: Sequence[Prompt]) -> list[int]:
    return [len(encoder.prompt(prompt.prompt)) for prompt in prompts]


def _seed_faults(params: Params, seed: Sequence[tuple[int, int]]) -> list[str]:
    limit = params.train.max_length
    long = [sum(pair) for pair in seed if sum(pair) > limit]
    if not long or params.base.policy is not None:
        return []
    return [
        f"train.max_length: found {limit}; {len(long)} of {len(seed)} seed pairs are longer (the "
        f"longest has {max(long)} tokens), and training refuses them; raise it or remove them"
    ]


def _round_faults(encoder: Encoder, params: Params, pools: Pools, context: int | None) -> list[str]:
    """Prompts of rounds after which no answer fits."""
    found: list[str] = []
    for name, prompts in pools.rounds.items():
        own = params.for_round(int(name))
        lengths, room = _prompts(encoder, prompts), own.generate.max_new_tokens
        key = f"rounds.{name}: generate.max_new_tokens"
        found += _beyond("prompts", lengths, room, key, context)
        limit = own.train.max_length
        if long := [length for length in lengths if length >= limit]:
            found.append(
                f"rounds.{name}: train.max_length: found {limit}; {len(long)} of {len(lengths)} "
                f"prompts alone have that many tokens (up to {max(long)}), and training refuses "
                "their pairs; raise it or remove them"
            )
    return found


def _beyond(
    what: str, lengths: Sequence[int], room: int, key: str, context: int | None
) -> list[str]:
    """Whether some do not fit into the model's context with the answer that is asked for."""
    long = [length for length in lengths if context is not None and length + room > context]
    if not long:
        return []
    answer = f" with an answer of {room}" if room else ""
    todo = "lower it or remove them" if key else "remove them"
    return [
        f"{key or 'split.gold'}: {len(long)} of {len(lengths)} {what} exceed the model's "
        f"{context} tokens{answer} (up to {max(long) + room}); {todo}"
    ]


def _refusable(encoder: Encoder, params: Params, pools: Pools) -> list[Finding]:
    """Prompts of rounds after which the longest answer would not fit into training."""
    findings = []
    for name, prompts in pools.rounds.items():
        own = params.for_round(int(name))
        limit, room = own.train.max_length, own.generate.max_new_tokens
        long = [n for n in _prompts(encoder, prompts) if n < limit < n + room]
        if long:
            findings.append(
                note(
                    "lengths",
                    f"rounds.{name}: train.max_length: found {limit}; after {len(long)} of "
                    f"{len(prompts)} prompts an answer of {room} tokens is too long, and training "
                    f"would refuse its pair; {max(long) + room} would fit all",
                )
            )
    return findings


def _cut(params: Params, labelled: Sequence[tuple[int, int]]) -> list[Finding]:
    """How many answers as long as the labelled ones would be cut in sampling."""
    findings = []
    for section in ("generate", "evaluate"):
        limit = getattr(params, section).max_new_tokens
        long = sum(answer > limit for _, answer in labelled)
        if long:
            findings.append(
                note(
                    "lengths",
                    f"{section}.max_new_tokens: {limit} would cut answers as long as those of "
                    f"{long} of {len(labelled)} labelled pairs",
                )
            )
    return findings
