"""Preference pairs of every shape (`spa.importing.shapes`)."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from os.path import commonprefix
from pathlib import Path
from typing import Any, cast

from spa.errors import InputError
from spa.importing.fields import answer, asking, finish_reason, prompt, with_system
from spa.importing.files import read_rows
from spa.importing.row import Row, all_of
from spa.importing.shapes import Shape, describe, shape_of
from spa.importing.transcripts import is_transcript, transcript_turns
from spa.records import Message, Pair, pair_hash, prompt_hash

_FINISH = ("chosen_finish_reason", "rejected_finish_reason")
PAIR_FIELDS = frozenset({"prompt", "chosen", "rejected", *_FINISH})
"""The fields of pairs that are read; all others are dropped and named."""


@dataclass(frozen=True)
class Imported:
    """What was read of a source.

    Attributes:
        pairs: its pairs in order, each once.
        format: its rows' shape, in words.
        rows: how many rows it has.
        dropped_columns: the columns left unread.
    """

    pairs: list[Pair]
    format: str
    rows: int
    dropped_columns: tuple[str, ...]

    @property
    def repeated(self) -> int:
        """Rows left out because their pair was there before."""
        return self.rows - len(self.pairs)

    def summary(self, source: str) -> str:
        """One line on what was read of `source`, and what was not."""
        text = f"{source}: {self.format}; {self.rows} rows, {len(self.pairs)} pairs"
        if self.repeated:
            text += f"; {self.repeated} repeated rows left out"
        if self.dropped_columns:
            text += f"; columns not read: {', '.join(self.dropped_columns)}"
        return text


def read_pairs(source: str, root: Path, *, system: str | None = None) -> Imported:
    """Read preference pairs.

    Args:
        source: a file or folder relative to `root`, or `org/name@commit` on the Hub.
        root: the pipeline's folder.
        system: a system turn for every prompt that has none.

    Raises:
        InputError: the source or one of its rows cannot be read; names file, row and field.
    """
    pairs: dict[tuple[str, str, str], Pair] = {}
    columns: set[str] = set()
    shapes: Counter[Shape] = Counter()
    for row in read_rows(source, root):
        shapes[shape_of(row.fields)] += 1
        columns |= row.fields.keys() - PAIR_FIELDS
        pair = pair_of(row, system)
        pairs.setdefault(triple(pair), pair)
    if not pairs:
        raise InputError(f"{source}: found no rows; wanted preference pairs")
    return Imported(list(pairs.values()), describe(shapes), shapes.total(), tuple(sorted(columns)))


def triple(pair: Pair) -> tuple[str, str, str]:
    """What a pair says; a later pair that says the same is a repeat."""
    return pair.prompt_id, pair.chosen, pair.rejected


def pair_of(row: Row, system: str | None = None) -> Pair:
    """The pair of one row.

    Args:
        row: a row of any shape that has pairs.
        system: a system turn where the prompt has none.

    Raises:
        RowError: with every fault of the row's fields, or what is wrong between them.
    """
    explicit = row.has("prompt") and shape_of(row.fields) != Shape.ULTRAFEEDBACK
    chosen, rejected, ends, turns = all_of(
        partial(answer, row, "chosen"),
        partial(answer, row, "rejected"),
        lambda: all_of(*(partial(finish_reason, row, name) for name in _FINISH)),
        lambda: prompt(row) if explicit else None,
    )
    turns, texts = _prompt_and_answers(row, turns, chosen, rejected)
    turns = with_system(asking(row, turns), system)
    return Pair(
        pair_id=pair_hash(turns, *texts),
        prompt_id=prompt_hash(turns),
        prompt=turns,
        chosen=texts[0],
        rejected=texts[1],
        chosen_finish_reason=ends[0],
        rejected_finish_reason=ends[1],
    )


def _prompt_and_answers(
    row: Row, turns: list[Message] | None, chosen: Any, rejected: Any
) -> tuple[list[Message], tuple[str, str]]:
    if type(chosen) is not type(rejected):
        row.fail("rejected", "another type than 'chosen'", "both as text or both as messages")
    if is_transcript(chosen) and is_transcript(rejected):
        chosen, rejected = transcript_turns(chosen), transcript_turns(rejected)
    if isinstance(chosen, list):
        return _conversations(row, turns or [], chosen, rejected)
    if turns is None:
        return _split_text(row, chosen, rejected)
    if is_transcript(row.fields["prompt"]):
        return turns, (chosen.strip(), rejected.strip())
    return turns, (chosen, rejected)


def _conversations(
    row: Row, given: list[Message], chosen: list[Message], rejected: list[Message]
) -> tuple[list[Message], tuple[str, str]]:
    """Prompt and both answers of rows whose answers are messages, with or without the prompt."""
    answers = []
    for name, turns in (("chosen", chosen), ("rejected", rejected)):
        own = turns[len(given) :] if given and turns[: len(given)] == given else turns
        if turns[-1]["role"] != "assistant":
            row.fail(name, f"ends with a turn of {turns[-1]['role']}", "an assistant's turn last")
        if given and len(own) != 1:
            row.fail(name, f"found {len(own)} turns after the prompt", "one answer")
        answers.append(own)
    if given:
        return given, (answers[0][0]["content"], answers[1][0]["content"])
    if chosen[:-1] != rejected[:-1] or len(chosen) < 2:
        row.fail("rejected", "its turns before the answer differ from chosen's", "the same prompt")
    return chosen[:-1], (chosen[-1]["content"], rejected[-1]["content"])


def _split_text(row: Row, chosen: str, rejected: str) -> tuple[list[Message], tuple[str, str]]:
    """Prompt and answers of plain texts that begin alike, cut at the last blank they share."""
    if "prompt" in row.fields:  # what both begin with may be the answers' own first words
        row.fail("prompt", "found null", "text or messages")
    shared = commonprefix([chosen, rejected])  # noqa: RUF071, as these are texts and no paths
    end = max(shared.rfind(" "), shared.rfind("\n")) + 1
    if not shared[:end].strip():
        row.fail("prompt", "missing, and chosen and rejected begin differently", "a prompt")
    turn = cast(Message, {"role": "user", "content": shared[:end].strip()})
    return [turn], (chosen[end:], rejected[end:])
