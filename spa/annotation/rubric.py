"""The starter's house style as an exact rule: easy words on the subject, short and complete.

A pure function of question, answer and finish reason, so that every label a model gives
itself can be checked against the truth. It is a controlled preference, not a measure of an
answer's truth or helpfulness. How its weights were chosen, on what: docs/results.md.

| it asks | points |
|---|---|
| easy reading: plain words in short sentences (`reading_ease`, 0 to 1) | 6 |
| on the subject: it says at least half, all of the question's content words, a point for each | 2 |
| complete: it finishes by itself, with 15 to 45 words | 1 |
| plain: no list, heading, table, emphasis, code or line break; few word triples said twice | 1 |

The score is the share of the 10 points reached. Of the 274 pairs of data/raw/starter, best and
worst of four answers by the base, the shorter one is the better in 52 %, the likelier one in 54 %.

Junk scores 0: fewer than 4 words; mostly something else than letters; one word making up a
third of the answer or more, or most words said before; a finished answer without a
sentence's end; no content word in common with the question.
"""

import re
from collections import Counter

from spa.records import FinishReason

WORDS = (15, 45)
SUBJECT_SHARES = (0.5, 1.0)
EASE, COMPLETE, PLAIN = 6, 1, 1
POINTS = EASE + len(SUBJECT_SHARES) + COMPLETE + PLAIN
HARDEST = 18.0
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)]*\s+|\n+")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)]*$")
_MARKUP = re.compile(r"^\s*(?:[-*•+]\s|\d+[.)]\s|#|\|)|\*\*|`", re.MULTILINE)
_STEM = 4
_COMMON = frozenset(
    """a about after all also an and any are as at be because been before but by can could did do
    does for from get gets had has have he her his how i if in into is it its just like made make
    makes many may me more most much must my need no not of off often on one only or other our out
    over people she should so some someone something sometimes take than that the their them then
    there these they thing things this those to too up us use used usually very was way we well
    were what when where which while who whose why will with without would you your""".split()
)


def words(text: str) -> list[str]:
    """The words of a text, lower-case; numbers and emoji are none."""
    return [match.lower() for match in _WORD.findall(text)]


def rubric_score(question: str, answer: str, finish_reason: FinishReason) -> float:
    """How well an answer keeps to the house style.

    Args:
        question: the last user turn.
        answer: the answer's text.
        finish_reason: `stop` where the model ended the answer itself.

    Returns:
        0.0 (junk) to 1.0 (all of it).
    """
    answer = answer.strip()
    said = words(answer)
    finished = finish_reason == "stop"
    if _is_junk(question, answer, said, finished):
        return 0.0
    points = EASE * reading_ease(answer) + _subject_points(question, said)
    points += PLAIN * (_is_plain(answer) and _is_fresh(said))
    if finished and WORDS[0] <= len(said) <= WORDS[1]:
        points += COMPLETE
    return points / POINTS


def reading_ease(answer: str) -> float:
    """How easily a text with at least one word reads: 1 is school grade 0, 0 grade 18 and above.

    The grade is the Automated Readability Index, 4.71 letters / word + 0.5 words / sentence
    - 21.43; the ease is (18 - grade) / 18, held between 0 and 1.

    Source: Senter and Smith, Automated Readability Index, AMRL-TR-66-220 (1967).
    """
    said = words(answer)
    sentences = sum(1 for sentence in _SENTENCE.split(answer) if words(sentence))
    grade = 4.71 * sum(map(len, said)) / len(said) + 0.5 * len(said) / sentences - 21.43
    return min(1.0, max(0.0, (HARDEST - grade) / HARDEST))


def _subject_points(question: str, said: list[str]) -> int:
    asked = _stems(words(question))
    share = len(asked & _stems(said)) / len(asked)
    return sum(share >= bound for bound in SUBJECT_SHARES)


def is_gibberish(answer: str, said: list[str]) -> bool:
    """Fewer than 4 words, mostly something else than letters, or mostly words said before."""
    return len(said) < 4 or _letter_share(answer) < 0.6 or len(set(said)) * 2 < len(said)


def _is_junk(question: str, answer: str, said: list[str], finished: bool) -> bool:
    return (
        is_gibberish(answer, said)
        or Counter(said).most_common(1)[0][1] * 3 >= len(said)
        or (finished and not _SENTENCE_END.search(answer))
        or not (_stems(words(question)) & _stems(said))
    )


def _letter_share(text: str) -> float:
    visible = [c for c in text if not c.isspace()]
    return sum(c.isalpha() for c in visible) / len(visible)


def _stems(said: list[str]) -> set[str]:
    return {word[:_STEM] for word in said if len(word) > 2 and word not in _COMMON}


def _is_plain(answer: str) -> bool:
    return "\n" not in answer and not _MARKUP.search(answer)


def _is_fresh(said: list[str]) -> bool:
    triples = list(zip(said, said[1:], said[2:], strict=False))
    return len(triples) - len(set(triples)) <= 0.1 * len(triples)
