"""Instruction sets, such as AlpacaEval's: rows with `instruction` or `prompt`."""

from dataclasses import dataclass
from pathlib import Path

from spa.errors import InputError
from spa.importing.fields import text
from spa.importing.files import read_rows
from spa.importing.prompts import prompt_of
from spa.importing.row import Row
from spa.records import Prompt


@dataclass(frozen=True)
class Instruction:
    """A prompt of an instruction set, and the answer that it comes with, if it does."""

    prompt: Prompt
    output: str | None
    generator: str | None


def read_instructions(source: str, root: Path, *, system: str | None = None) -> list[Instruction]:
    """Read an instruction set in its order.

    Args:
        source: a file or folder relative to `root`, or `org/name@commit` on the Hub.
        root: the pipeline's folder.
        system: a system turn for every prompt that has none.

    Raises:
        InputError: as `read_prompts`; also where an instruction is there twice or only some
            have an output.
    """
    found: dict[str, Instruction] = {}
    for row in read_rows(source, root):
        prompt = instruction_of(row, system)
        if prompt.prompt_id in found:
            row.fail("instruction", "is there twice", "every instruction once")
        output = text(row, "output") if row.has("output") else None
        if found and (output is None) != (next(iter(found.values())).output is None):
            row.fail("output", "missing in some rows", "an output in every row or in none")
        generator = str(row.fields.get("generator") or "reference")
        found[prompt.prompt_id] = Instruction(prompt, output, None if output is None else generator)
    if not found:
        raise InputError(f"{source}: found no rows; wanted instructions")
    return list(found.values())


def instruction_of(row: Row, system: str | None = None) -> Prompt:
    """The prompt of one row, from `prompt` or `instruction`.

    Raises:
        RowError: both are missing, or the one there cannot be used.
    """
    if not row.has("prompt"):
        row.fields["prompt"] = text(row, "instruction")
    return prompt_of(row, system)
