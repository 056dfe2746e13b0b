"""Answers to score: rows with `prompt`, `response` and maybe `finish_reason`."""

from dataclasses import dataclass
from pathlib import Path

from spa.errors import InputError
from spa.importing.fields import finish_reason, prompt, text
from spa.importing.files import read_rows
from spa.importing.row import Row
from spa.records import FinishReason, Message


@dataclass(frozen=True)
class GivenAnswer:
    """An answer of a user's file: its prompt, text and end, and all fields of its row."""

    prompt: list[Message]
    text: str
    finish_reason: FinishReason
    row: Row


def read_answers(source: str, root: Path) -> list[GivenAnswer]:
    """Read answers in their order.

    Args:
        source: a file or folder relative to `root`, or `org/name@commit` on the Hub.
        root: the folder that `source` is relative to.

    Raises:
        InputError: the source or one of its rows cannot be read, or there are no rows.
    """
    answers = [
        GivenAnswer(prompt(row), text(row, "response"), finish_reason(row, "finish_reason"), row)
        for row in read_rows(source, root)
    ]
    if not answers:
        raise InputError(f"{source}: found no rows; wanted answers, with 'prompt' and 'response'")
    return answers
