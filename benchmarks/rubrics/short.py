"""Wants short answers: fewer words are better, half as good if cut.

The score is 1 - words / 64, at least 0, times one half where the answer did not finish.
Fewer than 4 words, mostly something else than letters, or mostly words said before: 0.
"""

from spa.annotation.rubric import is_gibberish, words

LONGEST = 64


def score(question: str, answer: str, finish_reason: str) -> float:
    """Shortness of an answer, 0 to 1."""
    said = words(answer)
    if is_gibberish(answer, said):
        return 0.0
    return max(0.0, 1 - len(said) / LONGEST) * (1.0 if finish_reason == "stop" else 0.5)
