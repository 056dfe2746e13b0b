"""The language of short texts, by py3langid: a heuristic, sure of itself only where it can be."""

from collections.abc import Sequence
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

READ = 120
"""Characters of a text that are read; its time grows with them."""


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language(text: str) -> tuple[str, float]:
    """ISO 639 code of a text's language by its beginning, and the belief in it, 0 to 1."""
    code, belief = _identifier().classify(text[:READ])
    return str(code), float(belief)


def language_gaps(questions: Sequence[str], answers: Sequence[str]) -> list[float]:
    """How sure it is that each answer speaks another language than its question: 0 to 1.

    The lesser of the beliefs in either's language where they differ, 0 where they are the same.
    """
    asked = {question: language(question) for question in dict.fromkeys(questions)}
    gaps = []
    for question, answer in zip(questions, answers, strict=True):
        (a, belief), (b, other) = asked[question], language(answer)
        gaps.append(0.0 if a == b else min(belief, other))
    return gaps
