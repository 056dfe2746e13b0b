"""Measures of rows, one column each: what the expectations of spa/checks/suites.py read.

Measures of text alone are spa/degeneracy.py's; here are those that look at other rows too.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spa import degeneracy
from spa.checks.languages import gap
from spa.checks.languages import languages as told
from spa.checks.leaks import template_leaks
from spa.degeneracy import normalise
from spa.records import JudgedPair, Pair
from spa.same_prompts import prompt_key

SIDES = ("chosen", "rejected")


def pair_key(pair: Pair) -> tuple[str, str, str]:
    """What makes two pairs the same: prompt, chosen and rejected, normalised.

    Answers that only case, blanks or Unicode form tell apart are taken as they are.
    """
    folded = normalise(pair.chosen), normalise(pair.rejected)
    answers = (pair.chosen, pair.rejected) if folded[0] == folded[1] else folded
    return prompt_key(pair.prompt), *answers


@dataclass(frozen=True)
class Known:
    """What pairs are held against beside each other.

    Attributes:
        held_out: prompts that must not be trained on, as `prompt_key` gives them.
        earlier: prompts of rounds before, likewise.
        non_finite: ids of responses with a score that is no finite number.
        unended: ids of responses that finished and do not end with the end-of-turn token.
        leaking: ids of responses with a special token that their text leaves out.
    """

    held_out: Collection[str] = frozenset()
    earlier: Collection[str] = frozenset()
    non_finite: Collection[str] = frozenset()
    unended: Collection[str] = frozenset()
    leaking: Collection[str] = frozenset()


def measure_pairs(pairs: Sequence[Pair], known: Known, *, languages: bool = True) -> pd.DataFrame:
    """One row per pair: `row` (its position), `pair_id`, and one column per measure.

    Args:
        pairs: of any kind; only judged ones have `margin_size` and the columns on scores.
        known: what they are held against.
        languages: whether to tell the answers' languages, the slowest measure.
    """
    keys = [pair_key(pair) for pair in pairs]
    frame = pd.DataFrame([_measure(p, key[0], known) for p, key in zip(pairs, keys, strict=True)])
    frame.insert(0, "row", range(len(frame)))
    frame["identical"] = [pair.chosen == pair.rejected for pair in pairs]
    labelled = set(keys)
    frame["contradiction"] = [a != b and (q, b, a) in labelled for q, a, b in keys]
    frame["repeated"] = pd.Series(keys, dtype=object).duplicated()
    if languages:
        asked = told([pair.prompt[-1]["content"] for pair in pairs])
        for side in SIDES:
            answered = told([getattr(pair, side) for pair in pairs])
            frame[f"{side}_language"] = list(map(gap, asked, answered))
    return frame


def _measure(pair: Pair, key: str, known: Known) -> dict[str, Any]:
    row: dict[str, Any] = {
        "pair_id": pair.pair_id,
        "similarity": degeneracy.similarity(pair.chosen, pair.rejected),
        "length_ratio": degeneracy.length_ratio(pair.chosen, pair.rejected),
        "held_out": key in known.held_out,
        "earlier": key in known.earlier,
    }
    question = pair.prompt[-1]["content"]
    for side in SIDES:
        row |= {f"{side}_{k}": v for k, v in _answer(question, getattr(pair, side)).items()}
        row[f"{side}_finish_reason"] = getattr(pair, f"{side}_finish_reason")
        if isinstance(pair, JudgedPair):
            row[f"{side}_template_leaks"] += getattr(pair, f"{side}_id") in known.leaking
    return row | (_judged(pair, known) if isinstance(pair, JudgedPair) else {})


def _answer(question: str, answer: str) -> dict[str, Any]:
    return {
        "content": degeneracy.content(answer),
        "repetition": degeneracy.repetition(answer),
        "prompt_echo": degeneracy.prompt_echo(question, answer),
        "template_leaks": template_leaks(answer),
        "mojibake": degeneracy.mojibake(answer),
    }


def _judged(pair: JudgedPair, known: Known) -> dict[str, Any]:
    """A margin that is no number is no tie: its size is left out, and `non_finite` speaks."""
    finite = bool(np.isfinite([pair.margin, pair.probability]).all())
    row: dict[str, Any] = {
        "margin_size": abs(pair.margin) if finite else None,
        "margin_finite": finite,
    }
    for side in SIDES:
        name = getattr(pair, f"{side}_id")
        row[f"{side}_finite"] = name not in known.non_finite
        row[f"{side}_ended"] = name not in known.unended
    return row
