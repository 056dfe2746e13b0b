"""Who goes where: disjoint pools of prompts and pairs, drawn by the rank of a hash.

A prompt's rank depends on itself and the seed alone, so that one more round changes no pool before
it, and, where every prompt has one pair at most, one more prompt moves at most one other across
each boundary. Seed and gold are filled by pairs: a prompt of k pairs may move k others out of them,
and each of those moves others in turn by its own pairs.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from spa.errors import InputError
from spa.records import JudgedPair, Pair, Prompt, pair_hash
from spa.seeds import rank_key

P = TypeVar("P", bound=Pair)


@dataclass(frozen=True)
class Pools:
    """The pools of a pipeline; a prompt is in one only.

    `hidden_gold` holds the labels of all prompts that are neither seed nor gold, whether or
    not a round uses them.
    """

    seed: list[Pair]
    gold: list[Pair]
    test: list[Prompt]
    development: list[Prompt]
    rounds: dict[str, list[Prompt]]
    hidden_gold: list[Pair]


def partition(
    pairs: Sequence[Pair],
    prompts: Sequence[Prompt],
    *,
    seed: int,
    seed_pairs: int,
    development: int,
    test: int,
    gold: int,
    round_sizes: Mapping[str, int],
    instructions: Sequence[Prompt] | None = None,
) -> Pools:
    """Draw all pools.

    Labelled prompts fill the seed, then gold; what is left, labelled or not, fills test,
    development and the rounds in order. A prompt takes all its pairs with it, so that seed
    and gold may hold a few pairs more than asked for.

    Args:
        pairs: labelled pairs; several may share a prompt.
        prompts: prompts without labels; those that have pairs too count once.
        seed: the pipeline's seed.
        seed_pairs: pairs wanted in the seed.
        development: prompts wanted for development.
        test: prompts wanted for test.
        gold: pairs wanted as held-out gold.
        round_sizes: prompts wanted for every round, in order.
        instructions: where they are given, the first `test` of them are the test prompts, and
            no other pool has any of them.

    Raises:
        InputError: there are too few pairs or prompts.
    """
    labels: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        labels[pair.prompt_id].append(pair)
    known = {p.prompt_id: p for p in prompts}
    known |= {p.prompt_id: Prompt(prompt_id=p.prompt_id, prompt=p.prompt) for p in pairs}
    kept_out = {prompt.prompt_id for prompt in instructions or ()}
    ranked = sorted(known.keys() - kept_out, key=lambda name: rank_key(seed, "split", name))
    labelled = (prompt_id for prompt_id in ranked if prompt_id in labels)
    seeds = _take_pairs(labelled, labels, seed_pairs, "split.seed_pairs")
    golds = _take_pairs(labelled, labels, gold, "split.gold")
    used = {pair.prompt_id for pair in [*seeds, *golds]}
    rest = [known[prompt_id] for prompt_id in ranked if prompt_id not in used]
    wanted = {"split.test": test} if instructions is None else {}
    wanted |= {"split.development": development}
    wanted |= {f"rounds.{name}.prompts": size for name, size in round_sizes.items()}
    drawn = _cut(rest, wanted)
    if instructions is not None:
        drawn |= _cut(instructions, {"split.test": test})
    return Pools(
        seed=seeds,
        gold=golds,
        test=drawn["split.test"],
        development=drawn["split.development"],
        rounds={name: drawn[f"rounds.{name}.prompts"] for name in round_sizes},
        hidden_gold=[pair for prompt in rest for pair in labels.get(prompt.prompt_id, [])],
    )


def _take_pairs(
    ranked: Iterator[str], labels: Mapping[str, list[Pair]], wanted: int, key: str
) -> list[Pair]:
    taken: list[Pair] = []
    while len(taken) < wanted:
        prompt_id = next(ranked, None)
        if prompt_id is None:
            raise InputError(
                f"split: {key} wants {wanted} pairs, found {len(taken)} left; lower it or add "
                "labelled pairs to split.source"
            )
        taken += labels[prompt_id]
    return taken


def _cut(rest: Sequence[Prompt], wanted: Mapping[str, int]) -> dict[str, list[Prompt]]:
    drawn, start = {}, 0
    for key, size in wanted.items():
        drawn[key] = list(rest[start : start + size])
        if len(drawn[key]) < size:
            raise InputError(
                f"split: {key} wants {size} prompts, found {len(drawn[key])} left; lower it or "
                "add prompts to split.source, split.prompts or split.instructions"
            )
        start += size
    return drawn


def flip_labels(pairs: Sequence[P], share: float, *, seed: int, name: str) -> list[P]:
    """Turn round the labels of exactly `round(share * n)` pairs, drawn by rank of a hash.

    Args:
        pairs: any kind of pair; the order is kept.
        share: 0 to 1.
        seed: the pipeline's seed.
        name: the purpose, so that two stages flip independently.
    """
    order = sorted(range(len(pairs)), key=lambda i: rank_key(seed, "flip", name, pairs[i].pair_id))
    flipped = set(order[: round(share * len(pairs))])
    return [_flip(pair) if i in flipped else pair for i, pair in enumerate(pairs)]


def _flip(pair: P) -> P:
    turned = replace(
        pair,
        pair_id=pair_hash(pair.prompt, pair.rejected, pair.chosen),
        chosen=pair.rejected,
        rejected=pair.chosen,
        chosen_finish_reason=pair.rejected_finish_reason,
        rejected_finish_reason=pair.chosen_finish_reason,
    )
    if isinstance(turned, JudgedPair):
        turned = replace(
            turned,
            chosen_id=turned.rejected_id,
            rejected_id=turned.chosen_id,
            margin=-turned.margin,
            probability=1 - turned.probability,
        )
    return turned
