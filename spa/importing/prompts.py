"""Prompts without labels: rows with `prompt`, text or messages."""

from pathlib import Path

from spa.importing.fields import prompt, with_system
from spa.importing.files import read_rows
from spa.importing.row import Row
from spa.records import Prompt, prompt_hash


def read_prompts(source: str, root: Path, *, system: str | None = None) -> list[Prompt]:
    """Read prompts in their order, each once.

    Args:
        source: a file or folder relative to `root`, or `org/name@commit` on the Hub.
        root: the pipeline's folder.
        system: a system turn for every prompt that has none.

    Raises:
        InputError: the source or one of its rows cannot be read; names file, row and field.
    """
    found: dict[str, Prompt] = {}
    for row in read_rows(source, root):
        one = prompt_of(row, system)
        found.setdefault(one.prompt_id, one)
    return list(found.values())


def prompt_of(row: Row, system: str | None = None) -> Prompt:
    """The prompt of one row.

    Raises:
        RowError: `prompt` is missing or cannot be used.
    """
    turns = with_system(prompt(row), system)
    return Prompt(prompt_id=prompt_hash(turns), prompt=turns)
