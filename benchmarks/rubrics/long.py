"""Wants long answers: words / 64, at most 1, whether or not the answer was cut.

Fewer than 4 words, mostly something else than letters, or mostly words said before: 0.
"""

from spa.annotation.rubric import is_gibberish, words

LONGEST = 64


def score(question: str, answer: str, finish_reason: str) -> float:
    """Length of an answer, 0 to 1."""
    said = words(answer)
    return 0.0 if is_gibberish(answer, said) else min(1.0, len(said) / LONGEST)
