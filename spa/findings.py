"""One finding about a row of a user's file, and what each check has to say."""

from dataclasses import dataclass
from typing import Literal

from spa.checks import INPUT_CHECKS
from spa.importing.row import Fault, Row
from spa.records import Pair

LONG = 100_000
"""Characters of a pair above which it is called long: some 25,000 tokens of English."""

_SAYS = {
    "identical": "both answers are the same",
    "near_identical": "both answers are nearly the same",
    "empty": "the answer is empty",
    "blank": "the answer is only whitespace",
    "wordless": "the answer has no words",
    "cut": "the answer was cut",
    "repetition": "the answer repeats itself",
    "prompt_echo": "the answer repeats the prompt",
    "template_leak": "the answer contains a chat template's token or the opening of another turn",
    "contradiction": "the same answers to the same prompt have the opposite preference",
    "repeated": "the pair repeats an earlier one",
    "other_language": "the answer seems to be in a different language from the prompt",
    "mojibake": "the answer shows signs of wrong decoding",
    "length_ratio": "one answer is many times as long as the other",
}
"""What a check's reason means, without its side."""

_WARNING = {name for name, check in INPUT_CHECKS.items() if check.action == "warn"}


@dataclass(frozen=True)
class Finding:
    """Something that was found in a row.

    Attributes:
        file: the file's name.
        row: as `Fault.row`.
        field: the field it is about; None where it is about the row as a whole.
        what: what was found, in words.
        check: `read` where the row cannot be read, else the check's name.
        action: `error` (split stops there), `drop` (the pair is unusable) or `warn` (it is
            usable).
        topic: what findings of the same sort share.
    """

    file: str
    row: int | None
    field: str | None
    what: str
    check: str
    action: Literal["error", "drop", "warn"]
    topic: str


def read_finding(fault: Fault) -> Finding:
    """What is wrong with a row that cannot be read."""
    topic = f"wanted {fault.wanted}"
    return Finding(fault.file, fault.row, fault.field, fault.what, "read", "error", topic)


def check_finding(row: Row, reason: str, twin: Row | None) -> Finding:
    """What a check says.

    Args:
        row: the pair's row.
        reason: `check` or `check:side`, of `INPUT_CHECKS`.
        twin: the row that this one repeats or contradicts.
    """
    name, _, side = reason.partition(":")
    topic, what = _SAYS[name], _SAYS[name]
    if twin is not None:
        what += f", in {_place(row, twin)}"
    action: Literal["drop", "warn"] = "warn" if name in _WARNING else "drop"
    return Finding(row.file, row.number, side or None, what, name, action, topic)


def same_prompt_finding(row: Row, twin: Row) -> Finding:
    """A warning about a prompt that only case, blanks and the like tell apart from one before."""
    topic = "the prompt differs from another only in case, blanks, Unicode form or end punctuation"
    what = f"the prompt is nearly that of {_place(row, twin)}; `spa split` says if pools share it"
    return Finding(row.file, row.number, "prompt", what, "same_prompt", "warn", topic)


def _place(row: Row, twin: Row) -> str:
    """Where another row is, seen from a row."""
    return f"row {twin.number}" + (f" of {twin.file}" if twin.file != row.file else "")


def role_finding(row: Row, pair: Pair) -> Finding | None:
    """A warning about a prompt whose last turn is no user's: what is answered then?"""
    role = pair.prompt[-1]["role"]
    if role == "user":
        return None
    topic = "the prompt's last turn is not the user's"
    what = f"the prompt ends with a turn by {role}"
    return Finding(row.file, row.number, "prompt", what, "role", "warn", topic)


def long_finding(row: Row, pair: Pair) -> Finding | None:
    """A warning about a pair of more than `LONG` characters, prompt and both answers together."""
    size = sum(len(turn["content"]) for turn in pair.prompt) + len(pair.chosen) + len(pair.rejected)
    if size <= LONG:
        return None
    topic = f"more than {LONG:,} characters; training refuses pairs over train.max_length tokens"
    return Finding(row.file, row.number, None, f"found {size:,} characters", "long", "warn", topic)
