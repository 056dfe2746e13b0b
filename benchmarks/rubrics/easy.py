"""Wants easy reading, and does not care for length: the Automated Readability Index.

    ARI = 4.71 letters / word + 0.5 words / sentence - 21.43      (a US school grade)

The score is (18 - ARI) / 18, held between 0 and 1: 1 is grade 0, 0 is grade 18 and above.
Fewer than 4 words, mostly something else than letters, or mostly words said before: 0.

Source: Senter and Smith, Automated Readability Index, AMRL-TR-66-220 (1967).
"""

from spa.annotation.rubric import is_gibberish, sentence_lengths, words

HARDEST = 18.0


def score(question: str, answer: str, finish_reason: str) -> float:
    """Ease of reading of an answer, 0 to 1."""
    said = words(answer)
    if is_gibberish(answer, said):
        return 0.0
    lengths = sentence_lengths(answer)
    letters = sum(map(len, said))
    grade = 4.71 * letters / len(said) + 0.5 * len(said) / len(lengths) - 21.43
    return min(1.0, max(0.0, (HARDEST - grade) / HARDEST))
