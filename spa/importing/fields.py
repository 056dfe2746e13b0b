"""Fields of a row as what they should be: text, messages, a prompt, the end of an answer."""

import json
from collections.abc import Sequence
from typing import Any, cast

from spa.importing.row import Row
from spa.importing.transcripts import is_transcript, transcript_turns
from spa.records import FinishReason, Message


def text(row: Row, name: str) -> str:
    """A field that is there and is text.

    Raises:
        RowError: it is not; names file, row and field, as all errors here do.
    """
    if name not in row.fields:
        row.missing(name, "text")
    return _clean(row, name, row.fields[name])


def answer(row: Row, name: str) -> str | list[Message]:
    """`chosen` or `rejected`: an answer as text, or messages.

    Raises:
        RowError: it is missing or neither.
    """
    if name not in row.fields:
        row.missing(name, "an answer, as text or messages")
    value = row.fields[name]
    return _messages(row, name, value) if isinstance(value, list) else _clean(row, name, value)


def prompt(row: Row) -> list[Message]:
    """`prompt` as turns: of messages, of a transcript, or of text as one turn of a user.

    Raises:
        RowError: it is missing, empty or neither.
    """
    if "prompt" not in row.fields:
        row.missing("prompt", "text or messages")
    value = row.fields["prompt"]
    if isinstance(value, list):
        turns = _messages(row, "prompt", value)
    elif is_transcript(_clean(row, "prompt", value)):
        turns = transcript_turns(value)
        turns = turns[:-1] if turns[-1] == {"role": "assistant", "content": ""} else turns
    else:
        turns = [{"role": "user", "content": value}]
    return asking(row, turns)


def asking(row: Row, turns: list[Message]) -> list[Message]:
    """The turns of a prompt, as they are.

    Raises:
        RowError: the last one says nothing.
    """
    if not turns[-1]["content"].strip():
        row.fail("prompt", "found nothing but blanks", "a question or an instruction")
    return turns


def with_system(turns: list[Message], system: str | None) -> list[Message]:
    """The turns after a system turn, where they have none and one is given."""
    if system is None or turns[0]["role"] == "system":
        return turns
    return [{"role": "system", "content": system}, *turns]


def finish_reason(row: Row, name: str) -> FinishReason:
    """How an answer ended: `stop`, also where nothing is said, or `length`.

    Raises:
        RowError: something else is said.
    """
    value = row.fields.get(name) or "stop"
    if value not in ("stop", "length"):
        row.fail(name, f"found {value!r}", "stop or length")
    return cast(FinishReason, value)


def _clean(row: Row, name: str, value: Any) -> str:
    if not isinstance(value, str):
        row.fail(name, f"found {json.dumps(value, default=str)[:40]}", "text or messages")
    if "\x00" in value:
        row.fail(name, "found a NUL character", "text")
    try:
        value.encode()
    except UnicodeEncodeError:
        row.fail(name, "found half of a surrogate pair", "text that is valid Unicode")
    return value


def _messages(row: Row, name: str, value: Sequence[Any]) -> list[Message]:
    turns: list[Message] = []
    for turn in value:
        if not isinstance(turn, dict) or not {"role", "content"} <= turn.keys():
            row.fail(
                name, f"found the turn {json.dumps(turn, default=str)[:60]}", "role and content"
            )
        if turn["role"] not in ("system", "user", "assistant"):
            row.fail(name, f"found the role {turn['role']!r}", "system, user or assistant")
        turns.append({"role": turn["role"], "content": _clean(row, name, turn["content"])})
    if not turns:
        row.fail(name, "found no messages", "at least one")
    return turns
