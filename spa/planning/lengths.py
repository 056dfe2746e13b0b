"""How long prompts and answers are, in tokens: measured where there is something to measure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spa.errors import ArtefactError, InputError, ModelError
from spa.files import read_json
from spa.importing.pairs import read_pairs
from spa.importing.prompts import read_prompts
from spa.layout import Layout
from spa.params import Params
from spa.records import Message, Pair

MEASURED = 512
"""Prompts and pairs measured, spread over all."""
CHARACTERS_A_TOKEN = 4
"""Where no tokenizer is there yet."""


@dataclass(frozen=True)
class Lengths:
    """Mean lengths in tokens, None where nothing says; `notes` say where they come from.

    `prompt` is with its template, `labelled` an answer of the user's pairs, `sampled` an answer
    of the latest round that sampled some, `evaluated` one of the latest evaluation.
    """

    prompt: float | None = None
    labelled: float | None = None
    sampled: float | None = None
    evaluated: float | None = None
    notes: tuple[str, ...] = ()

    def said(self, prompt: int | None, answer: int | None) -> "Lengths":
        """With what somebody says in place of what was found; None is not said."""
        told = self
        if prompt is not None:
            told = replace(told, prompt=prompt, notes=_without(told.notes, "prompt lengths"))
        if answer is not None:
            lengths = {"labelled": answer, "sampled": answer, "evaluated": answer}
            told = replace(told, **lengths, notes=_without(told.notes, "answer lengths"))
        if None not in (prompt, answer):
            told = replace(told, notes=_without(told.notes, "no tokenizer"))
        return told


def _without(notes: tuple[str, ...], what: str) -> tuple[str, ...]:
    return tuple(note for note in notes if not note.startswith(what))


def measure_lengths(layout: Layout, params: Params, base: Path | None) -> Lengths:
    """Measure the user's data, with the tokenizer of `base` if it is there, and earlier rounds."""
    notes = []
    prompts, answers = _data(layout, params)
    ask, tell, how = _measures(base)
    if not prompts:
        notes.append(
            "prompt lengths unknown, as the data are not here or cannot be read: taken as the "
            "longest that leave room for an answer within train.max_length"
        )
    elif how:
        notes.append(how)
    sampled, evaluated = _sampled(layout, params), _evaluated(layout)
    if sampled is None or evaluated is None:
        notes.append("answer lengths unknown until a round has sampled: taken as max_new_tokens")
    return Lengths(
        prompt=_mean(map(ask, prompts)),
        labelled=_mean(map(tell, answers)),
        sampled=sampled,
        evaluated=evaluated,
        notes=tuple(notes),
    )


def _data(layout: Layout, params: Params) -> tuple[list[list[Message]], list[str]]:
    """Some prompts and some labelled answers; none where the data are elsewhere or broken."""
    split, root = params.split, layout.root
    pairs: list[Pair] = []
    prompts: list[list[Message]] = []
    try:
        if split.source and (root / split.source).exists():
            pairs = _some(read_pairs(split.source, root, system=split.system).pairs)
        if split.prompts and (root / split.prompts).exists():
            rows = read_prompts(split.prompts, root, system=split.system)
            prompts = [row.prompt for row in _some(rows)]
    except InputError:
        return [], []  # `spa doctor` says what is wrong
    answers = [text for pair in pairs for text in (pair.chosen, pair.rejected)]
    return [pair.prompt for pair in pairs] + prompts, answers


def _some(rows: Sequence[Any]) -> list[Any]:
    return list(rows[:: max(1, len(rows) // MEASURED)])[:MEASURED]


def _measures(
    base: Path | None,
) -> tuple[Callable[[list[Message]], int], Callable[[str], int], str]:
    """Length of a prompt and of an answer in tokens, and a note where they are guessed."""
    how = f"no tokenizer yet: {CHARACTERS_A_TOKEN} characters counted as one token"
    if base is not None:
        from spa.models import load_encoder

        try:
            encoder = load_encoder(base)
        except ModelError as error:
            how = f"{how} ({error})"
        else:
            return (
                lambda prompt: len(encoder.prompt(prompt)),
                lambda text: len(encoder.answer(text, "stop")),
                "",
            )
    return (
        lambda prompt: sum(_guess(turn["content"]) for turn in prompt),
        _guess,
        how,
    )


def _guess(text: str) -> int:
    return 1 + len(text) // CHARACTERS_A_TOKEN


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def _sampled(layout: Layout, params: Params) -> float | None:
    for name in reversed(params.rounds):
        try:
            ids = pq.read_table(layout.responses(name), columns=["token_ids"])["token_ids"]
        except (OSError, pa.ArrowException, KeyError):
            continue
        return _mean(len(row) for row in ids.to_pylist())
    return None


def _evaluated(layout: Layout) -> float | None:
    for name in ("rival", "0", "base"):
        try:
            rows = read_json(layout.evaluation(name) / "outputs.json")
            return _mean(row["tokens"] for row in rows)
        except (ArtefactError, KeyError, TypeError):
            continue
    return None
