"""Where in data/raw a prompt or pair came from: file and row."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from spa.errors import InputError
from spa.files import hash_file
from spa.importing.files import read_rows
from spa.importing.instructions import instruction_of
from spa.importing.pairs import pair_of
from spa.importing.prompts import prompt_of
from spa.importing.row import Row
from spa.layout import Layout
from spa.params import Split
from spa.records import pair_hash


@dataclass(frozen=True)
class Origin:
    """A row of the raw data: its file, its number from 1 and the ids of what it holds.

    `pair_ids` has the pair's id and the one that it has with its label turned round.
    """

    file: str
    row: int
    prompt_id: str
    pair_ids: tuple[str, ...] = ()


def find_origins(layout: Layout, split: Split, prompt_ids: Collection[str]) -> list[Origin]:
    """All rows of the raw data that have one of these prompts.

    Raises:
        InputError: a source cannot be read (any more).
    """
    return [o for o in _origins(layout, split) if o.prompt_id in prompt_ids]


def _origins(layout: Layout, split: Split) -> Iterator[Origin]:
    system = split.system
    for row in _rows(split.source, layout):
        pair = pair_of(row, system)
        turned = pair_hash(pair.prompt, pair.rejected, pair.chosen)
        yield Origin(row.file, row.number, pair.prompt_id, (pair.pair_id, turned))
    for row in _rows(split.prompts, layout):
        yield Origin(row.file, row.number, prompt_of(row, system).prompt_id)
    for row in _rows(split.instructions, layout):
        yield Origin(row.file, row.number, instruction_of(row, system).prompt_id)


def _rows(source: str | None, layout: Layout) -> Iterator[Row]:
    return iter(()) if source is None else read_rows(source, layout.root)


def describe_origin(layout: Layout, origin: Origin) -> dict[str, Any]:
    """An origin as JSON, with the SHA-256 of its file (None on the Hub)."""
    file = layout.root / origin.file
    sha256 = hash_file(file) if file.is_file() else None
    return {"file": origin.file, "row": origin.row, "sha256": sha256}


def origins_or_reason(
    layout: Layout, split: Split, prompt_ids: Collection[str]
) -> tuple[list[Origin], str | None]:
    """`find_origins`, or why the raw data cannot be read."""
    try:
        return find_origins(layout, split, prompt_ids), None
    except InputError as error:
        return [], str(error)
