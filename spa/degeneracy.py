"""Measures of a pair's faults: pure functions of text, each with a unit and a range.

They measure; spa/checks/ compares them with limits, and params.yaml says what follows.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal

Content = Literal["words", "wordless", "blank", "empty"]

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3041-\u30fa\u30fc-\u30ff"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_WORD = re.compile(r"\w+")
_RUN = re.compile(f"[{_UNSPACED}]+")
_WORD_OR_RUN = re.compile(rf"{_RUN.pattern}|[^\W{_UNSPACED}]+")
_MOJIBAKE = re.compile(
    "\ufffd"
    "|[\x00-\x08\x0b\x0e-\x1f\x7f]"
    "|[\u00c2-\u00c3][\u0080-\u00bf]"  # two bytes of UTF-8, each read as a character
    "|\u00e2\u20ac[\u0080-\u00bf\u2010-\u203a\u0152\u0153\u02c6\u02dc\u2122]"  # â€ and a third
    "|\u00f0\u0178[\u0080-\u00bf\u2018-\u203a]"  # the first bytes of an emoji
)


_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
"""Soft hyphen, the blanks of no width and the byte order mark, which say nothing."""
_LOOK_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs that Unicode draws as nothing: Hangul's fillers and Braille's blank."""


def normalise(text: str) -> str:
    """Text without differences of case, blanks (of no width too) and Unicode form (NFKC)."""
    seen = _INVISIBLE.sub("", text)
    return " ".join(unicodedata.normalize("NFKC", seen).casefold().split())


@lru_cache(maxsize=16)
def words(text: str) -> tuple[str, ...]:
    """Normalised words, numbers included; the last texts' are kept, as measures share them.

    Where a script puts no blanks between words (Chinese, Japanese, Thai ...), any two signs that
    follow each other count as one, so that a text has about as many words as signs.
    """
    said = normalise(text)
    if not _RUN.search(said):
        return tuple(_WORD.findall(said))
    found: list[str] = []
    for word in _WORD_OR_RUN.findall(said):
        paired = len(word) > 1 and _RUN.match(word)
        found += [a + b for a, b in pairwise(word)] if paired else [word]
    return tuple(found)


def similarity(first: str, second: str) -> float:
    """Overlap of two texts' word pairs, counted with repeats: 0 (none) to 1 (all).

    The Dice coefficient over multisets of word bigrams: symmetric, linear in length, and
    aware of order. Texts of fewer than two words compare as their words.
    """
    a, b = Counter(_ngrams(words(first), 2)), Counter(_ngrams(words(second), 2))
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 1.0


def repetition(text: str) -> float:
    """How much of a text repeats itself: 0 (nothing) to nearly 1 (everything).

    The larger of two shares: word triples that were there before, and, in texts of at least
    five words, occurrences of the most frequent word beyond its first.
    """
    said = words(text)
    if len(said) < 5:
        return 0.0
    triples = _ngrams(said, 3)
    again = 1 - len(set(triples)) / len(triples)
    return max(again, (Counter(said).most_common(1)[0][1] - 1) / len(said))


def distinct_pairs(texts: Sequence[str]) -> float:
    """Different word pairs among all word pairs of texts (distinct-2): 0 to 1, 0 for no words.

    It falls as texts say the same things, and with their number: compare equal numbers.

    Source: Li et al., "A Diversity-Promoting Objective Function", arXiv:1510.03055.
    """
    pairs = [pair for text in texts for pair in _ngrams(words(text), 2)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def prompt_echo(prompt: str, answer: str) -> float:
    """Share of an answer's word triples that the prompt has: 0 to 1; 0 for no words."""
    triples = _ngrams(words(answer), 3)
    known = set(_ngrams(words(prompt), 3))
    return sum(t in known for t in triples) / len(triples) if triples else 0.0


def word_count(text: str) -> int:
    """Words of an answer, numbers included; 0 for blanks, dots or emoji."""
    return len(words(text))


def content(text: str) -> Content:
    """What is in a text: words, signs without a word (dots, emoji), blanks alone, or nothing."""
    if not text:
        return "empty"
    if not _visible(text):
        return "blank"
    return "words" if any(word.strip("_") for word in words(text)) else "wordless"


def _visible(text: str) -> bool:
    """Whether anything is seen: no blanks, control or format characters (zero-width ones)."""
    return any(unicodedata.category(s)[0] not in "ZC" and s not in _LOOK_BLANK for s in text)


def length_ratio(first: str, second: str) -> float:
    """Words of the longer text over words of the shorter one, each counted as one at least."""
    shorter, longer = sorted((max(word_count(first), 1), max(word_count(second), 1)))
    return longer / shorter


def mojibake(text: str) -> int:
    """How many signs of a wrong decoding stand in a text: replacement characters, lone control
    characters, and UTF-8 that was read as Latin-1 or Windows-1252 (`Ã©`, `â€™`)."""
    return len(_MOJIBAKE.findall(text))


def _ngrams(said: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Runs of n words; a shorter text is one run."""
    if not said:
        return []
    size = min(n, len(said))
    return list(zip(*(said[i:] for i in range(size)), strict=False))
