"""The language of short texts, by py3langid: a heuristic, sure of itself only where it can be."""

from collections.abc import Sequence
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

READ = 100
"""Characters of a text that are read; its time grows with them."""


Told = tuple[str, float]
"""ISO 639 code of a language, and the belief in it, 0 to 1."""


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language(text: str) -> Told:
    """A text's language by its beginning."""
    code, belief = _identifier().classify(text[:READ])
    return str(code), float(belief)


def languages(texts: Sequence[str]) -> list[Told]:
    """The language of each text; texts that are there twice are read once."""
    told = {text: language(text) for text in dict.fromkeys(texts)}
    return [told[text] for text in texts]


def gap(asked: Told, answered: Told) -> float:
    """How sure it is that an answer speaks another language than its question: 0 to 1.

    The lesser of the beliefs in either's language where they differ, 0 where they are the same.
    """
    return 0.0 if asked[0] == answered[0] else min(asked[1], answered[1])
