"""Named seeds: the same name is the same number, another name another."""

import numpy as np

from spa.seeds import derive_seed, draw_keys, generator, rank_key


def test_a_seed_is_its_names_and_stays_what_it_is_for_ever() -> None:
    """A fixed value: if it changes, every run of everyone changes."""
    assert derive_seed(1, "generate", 2, "prompt", 0) == 7302447285037139368


def test_names_do_not_run_together() -> None:
    names: list[tuple[str | int, ...]] = [("a", "bc"), ("ab", "c"), ("a", 1), ("a", 11), ("a1",)]
    assert len({derive_seed(1, *name) for name in names}) == len(names)
    assert derive_seed(1, "a") != derive_seed(2, "a")
    assert derive_seed(1, "a", 1) == derive_seed(1, "a", "1")


def test_keys_use_every_bit_and_a_longer_answer_begins_like_a_shorter_one() -> None:
    keys = draw_keys(7, 100_000)
    ones = np.unpackbits(keys.view(np.uint8)).reshape(-1, 64).mean(0)
    assert np.abs(ones - 0.5).max() < 0.01
    assert np.array_equal(draw_keys(7, 10), keys[:10])


def test_generators_are_owned_by_their_names() -> None:
    assert generator(1, "a").integers(1000) == generator(1, "a").integers(1000)
    assert rank_key(1, "a") != rank_key(1, "b")


def test_what_is_drawn_from_a_seed_stays_what_it_is_for_ever() -> None:
    """Fixed values, as above."""
    assert generator(1, "train", 2, 0).permutation(8).tolist() == [3, 5, 2, 7, 6, 0, 1, 4]
    assert generator(1, "a").integers(2**40) == 1019083067190
    assert draw_keys(7, 2).tolist() == [8648156199155761070, 7861003179181181637]
    assert rank_key(1, "split", "a")[:16] == "073dbf6e2db073be"


def test_every_name_of_a_generator_and_of_a_rank_counts() -> None:
    names = [("a", "bc"), ("ab", "c"), ("a", "b"), ("a",)]
    assert len({int(generator(1, *own).integers(2**40)) for own in names}) == 4
    assert len({rank_key(1, *own) for own in names}) == 4
