"""Which prompts are the same, though not to the letter."""

from collections.abc import Iterable, Sequence

from spa.degeneracy import normalise
from spa.records import Message, Pair, Prompt

_FINAL = " .,:;!?\u3001\u3002\u061f\u0964"
"""What may follow a sentence, also in Chinese, Japanese, Arabic and Hindi."""


def prompt_key(prompt: Sequence[Message]) -> str:
    """What makes two prompts the same: all turns, the system's too, but for case, blanks, Unicode
    form and final punctuation."""
    return "\n".join(f"{m['role']}: {_without_end(normalise(m['content']))}" for m in prompt)


def _without_end(text: str) -> str:
    return text.rstrip(_FINAL) or text


def prompt_keys(rows: Iterable[Pair | Prompt]) -> set[str]:
    """The keys of all rows' prompts."""
    return {prompt_key(row.prompt) for row in rows}
