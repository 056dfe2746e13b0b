"""One named seed per purpose: equal names give equal numbers, whatever ran before.

Nothing in this project draws from a shared random state: a stage, a prompt and a sample
each own a seed derived from the pipeline's seed and their name, so that order, batch size
and restarts cannot change a draw.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def derive_seed(seed: int, *names: str | int) -> int:
    """A 64-bit seed for the purpose that `names` spell, under the pipeline's `seed`."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A counter-based generator (Philox) owned by the purpose that `names` spell."""
    return np.random.Generator(np.random.Philox(derive_seed(seed, *names)))


def draw_keys(seed: int, count: int) -> NDArray[np.int64]:
    """64 random bits for each position of one sampled answer, the key of that token's draw."""
    bits = np.random.Generator(np.random.Philox(seed)).integers(0, 2**64, count, dtype=np.uint64)
    return bits.view(np.int64)


def rank_key(seed: int, *names: str) -> str:
    """A key to sort items by in random order; an item's place depends on itself alone."""
    text = "\x1f".join([str(seed), *names])
    return hashlib.sha256(text.encode()).hexdigest()
