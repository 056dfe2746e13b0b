"""Wants easy reading, and does not care for length: `spa.annotation.rubric.reading_ease`.

Fewer than 4 words, mostly something else than letters, or mostly words said before: 0.
"""

from spa.annotation.rubric import is_gibberish, reading_ease, words


def score(question: str, answer: str, finish_reason: str) -> float:
    """Ease of reading of an answer, 0 to 1."""
    return 0.0 if is_gibberish(answer, words(answer)) else reading_ease(answer)
