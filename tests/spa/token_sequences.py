"""Token sequences for tests, with ids of the tiny model's vocabulary."""

import random

from spa.encoding import TokenSequence


def sequences(count: int = 9) -> list[TokenSequence]:
    """Prompts and answers of all lengths."""
    numbers = random.Random(0)
    return [TokenSequence(_ids(numbers, 3, 12), _ids(numbers, 1, 20)) for _ in range(count)]


def answers_to_one(count: int = 5) -> list[TokenSequence]:
    """Answers to one prompt."""
    numbers = random.Random(1)
    prompt = _ids(numbers, 8, 12)
    return [TokenSequence(prompt, _ids(numbers, 1, 20)) for _ in range(count)]


def _ids(numbers: random.Random, least: int, below: int) -> list[int]:
    return [numbers.randrange(2, 290) for _ in range(numbers.randrange(least, below))]
