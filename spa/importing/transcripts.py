"""Transcripts as Anthropic's hh has them: turns after `Human:` and `Assistant:`, in one text."""

import re
from typing import Any

from spa.records import Message

_TURN = re.compile(r"(?:\A\s*|\n\r?\n)(Human|Assistant):")
_TRANSCRIPT = re.compile(r"\s*Human:.*?\n\r?\nAssistant:", re.DOTALL)
_ROLES = {"Human": "user", "Assistant": "assistant"}


def is_transcript(value: Any) -> bool:
    """Whether a value is text that begins with a human's turn and has an assistant's after it."""
    return isinstance(value, str) and _TRANSCRIPT.match(value) is not None


def transcript_turns(text: str) -> list[Message]:
    """The turns of a transcript, without the blanks around them; the last may be empty."""
    _, *parts = _TURN.split(text)
    return [
        {"role": _ROLES[name], "content": content.strip()}
        for name, content in zip(parts[::2], parts[1::2], strict=True)
    ]
