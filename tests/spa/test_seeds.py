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
