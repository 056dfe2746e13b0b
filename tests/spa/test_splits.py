"""Pools: disjoint, whole, and stable under one more row or one more round."""

from collections.abc import Sequence
from typing import Any

import pytest

from spa.errors import InputError
from spa.records import JudgedPair, Message, Pair, Prompt, pair_hash, prompt_hash
from spa.seeds import rank_key
from spa.splits import Pools, flip_labels, partition


def _turns(number: int) -> list[Message]:
    return [{"role": "user", "content": f"question {number}"}]


def _pair(number: int, answer: int = 0) -> Pair:
    turns = _turns(number)
    return Pair(
        pair_id=pair_hash(turns, f"good {answer}", "bad"),
        prompt_id=prompt_hash(turns),
        prompt=turns,
        chosen=f"good {answer}",
        rejected="bad",
        chosen_finish_reason="stop",
        rejected_finish_reason="length",
    )


def _prompt(number: int) -> Prompt:
    return Prompt(prompt_id=prompt_hash(_turns(number)), prompt=_turns(number))


def _draw(pairs: int = 60, prompts: int = 60, *, seed: int = 1, rounds: int = 2) -> Pools:
    return partition(
        [_pair(n) for n in range(pairs)],
        [_prompt(n) for n in range(1000, 1000 + prompts)],
        seed=seed,
        seed_pairs=10,
        development=8,
        test=12,
        gold=9,
        round_sizes={str(n + 1): 15 for n in range(rounds)},
    )


def _sets(pools: Pools) -> dict[str, set[str]]:
    rows: dict[str, Sequence[Pair | Prompt]] = {
        "seed": pools.seed, "gold": pools.gold, "test": pools.test,
        "development": pools.development, **pools.rounds,
    }  # fmt: skip
    return {name: {row.prompt_id for row in members} for name, members in rows.items()}


def test_pools_have_the_sizes_asked_for_and_share_no_prompt() -> None:
    sets = _sets(_draw())
    assert {name: len(members) for name, members in sets.items()} == {
        "seed": 10, "gold": 9, "test": 12, "development": 8, "1": 15, "2": 15,
    }  # fmt: skip
    assert len(set.union(*sets.values())) == 69


def test_one_more_round_changes_no_pool_before_it() -> None:
    two, three = _draw(), _draw(rounds=3)
    assert _sets(two).items() <= _sets(three).items()
    assert two.hidden_gold == three.hidden_gold


@pytest.mark.parametrize("more", [(61, 60), (60, 61)])
def test_one_more_row_moves_at_most_one_row_across_each_boundary(more: tuple[int, int]) -> None:
    for seed in range(8):
        before, after = _sets(_draw(seed=seed)), _sets(_draw(*more, seed=seed))
        for name in before:
            assert len(before[name] - after[name]) <= 1


def test_a_prompt_of_several_pairs_moves_no_more_others_out_of_the_seed_than_it_has() -> None:
    """The first prompt by rank gets two more pairs: two others of one pair leave a seed of ten."""
    alone = [_pair(n) for n in range(60)]
    first = min(range(60), key=lambda n: rank_key(1, "split", alone[n].prompt_id))
    sizes: dict[str, Any] = {"seed_pairs": 10, "development": 8, "test": 12, "gold": 9}
    before, after = (
        partition([*alone, *more], [], seed=1, round_sizes={}, **sizes)
        for more in ([], [_pair(first, 1), _pair(first, 2)])
    )
    left = {p.prompt_id for p in before.seed} - {p.prompt_id for p in after.seed}
    assert (len(after.seed), len(left)) == (10, 2)


def test_another_seed_draws_other_pools() -> None:
    assert _sets(_draw(seed=1))["seed"] != _sets(_draw(seed=2))["seed"]


def test_the_order_of_rows_changes_nothing() -> None:
    rows = [_pair(n) for n in range(30)]
    sizes: dict[str, Any] = {"seed_pairs": 5, "development": 2, "test": 3, "gold": 4}
    one, two = (
        partition(pairs, [], seed=1, round_sizes={"1": 4}, **sizes) for pairs in (rows, rows[::-1])
    )
    assert one.seed == two.seed
    assert one.rounds == two.rounds


def test_all_pairs_of_a_prompt_stay_together_and_none_is_lost() -> None:
    rows = [_pair(n, answer) for n in range(20) for answer in range(3)]
    pools = partition(
        rows, [], seed=1, seed_pairs=10, development=2, test=3, gold=6, round_sizes={"1": 4}
    )
    assert len(pools.seed) == 12  # four prompts with all their pairs
    assert len(pools.gold) == 6
    drawn = [*pools.seed, *pools.gold, *pools.hidden_gold]
    assert sorted(p.pair_id for p in drawn) == sorted(p.pair_id for p in rows)


def test_a_prompt_with_and_without_labels_counts_once() -> None:
    pools = partition(
        [_pair(n) for n in range(10)],
        [_prompt(n) for n in range(10)],
        seed=1, seed_pairs=4, development=0, test=3, gold=0, round_sizes={"1": 3},
    )  # fmt: skip
    assert len(set.union(*_sets(pools).values())) == 10


def test_too_little_data_names_the_key_the_wish_and_what_was_left() -> None:
    with pytest.raises(InputError, match=r"split.gold wants 9 pairs, found 5 left"):
        _draw(pairs=15)
    with pytest.raises(InputError, match=r"rounds.2.prompts wants 15 prompts, found 9 left"):
        _draw(pairs=19, prompts=44)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_flipping_turns_exactly_the_share(share: float) -> None:
    rows = [_pair(n) for n in range(30)]
    flipped = flip_labels(rows, share, seed=1, name="seed")
    turned = [(a, b) for a, b in zip(rows, flipped, strict=True) if a != b]
    assert len(turned) == round(share * 30)
    for before, after in turned:
        assert (before.chosen, before.rejected) == (after.rejected, after.chosen)
        assert after.chosen_finish_reason == before.rejected_finish_reason
        assert after.rejected_finish_reason == before.chosen_finish_reason
        assert after.pair_id != before.pair_id


def test_flipping_a_judged_pair_turns_its_margin_and_ids() -> None:
    judged = JudgedPair(
        **_pair(1).row(), chosen_id="a", rejected_id="b", margin=2.0, probability=0.6, method="m"
    )
    [after] = flip_labels([judged], 1.0, seed=1, name="judge")
    assert (after.chosen_id, after.rejected_id, after.margin) == ("b", "a", -2.0)
    assert after.probability == pytest.approx(0.4)


def test_given_instructions_are_the_test_prompts_in_order_and_no_pool_has_any() -> None:
    """Six of the instructions are among the pairs, two among the prompts."""
    given = [_prompt(n) for n in (3, 1, 5, 8, 13, 21, 1001, 1002, 9000, 9001)]
    pools = partition(
        [_pair(n) for n in range(30)],
        [_prompt(n) for n in range(1000, 1020)],
        seed=1,
        seed_pairs=10,
        development=4,
        test=9,
        gold=6,
        round_sizes={"1": 8},
        instructions=given,
    )
    assert pools.test == given[:9]
    others = _sets(pools)
    del others["test"]
    assert not set.union(*others.values()) & {prompt.prompt_id for prompt in given}
    with pytest.raises(InputError, match=r"split.test wants 11 prompts, found 10 left"):
        partition(
            [_pair(n) for n in range(30)],
            [],
            seed=1,
            seed_pairs=1,
            development=1,
            test=11,
            gold=1,
            round_sizes={"1": 1},
            instructions=given,
        )


def test_another_purpose_or_seed_turns_other_labels_round() -> None:
    rows = [_pair(n) for n in range(30)]
    found = {
        tuple(pair.pair_id for pair in flip_labels(rows, 0.5, seed=seed, name=name))
        for seed, name in ((1, "seed"), (1, "judge-1"), (2, "seed"))
    }
    assert len(found) == 3


def test_more_development_prompts_leave_the_test_prompts_as_they_are() -> None:
    pairs = [_pair(n) for n in range(40)]
    sizes: dict[str, Any] = {"seed_pairs": 5, "test": 6, "gold": 4}
    few, many = (
        partition(pairs, [], seed=1, development=count, round_sizes={}, **sizes)
        for count in (2, 12)
    )
    assert few.test == many.test
    assert few.development == many.development[:2]
