"""Reading the preference data and prompts that people have, in the shapes they have them.

| shape | fields |
|---|---|
| TRL, explicit prompt | `prompt`, `chosen`, `rejected`: text or messages |
| TRL, implicit prompt | `chosen`, `rejected`: text or messages that begin alike |
| UltraFeedback binarized | `prompt` as text; `chosen`, `rejected` as whole conversations |
| prompts alone | `prompt`: text or messages |
| answers to score | `prompt`, and `response` as text |
| instructions | `instruction` or `prompt`; maybe `output` with its `generator` |
| AlpacaEval's annotations | `instruction`, `preference`, and `output_`, `generator_` 1 and 2 |

Which files can be read: `spa.rows`. Other fields are dropped and named.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any, cast

from spa.errors import InputError
from spa.records import FinishReason, Message, Pair, Prompt, pair_hash, prompt_hash
from spa.rows import Row, read_rows

_FINISH = ("chosen_finish_reason", "rejected_finish_reason")
_ANNOTATED = ("instruction", "output_1", "output_2", "generator_1", "generator_2")
_KNOWN = {"prompt", "chosen", "rejected", *_FINISH}


@dataclass(frozen=True)
class Imported:
    """Pairs of a source, the columns left unread, and how many repeated rows were dropped."""

    pairs: list[Pair]
    dropped_columns: tuple[str, ...]
    repeated: int


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
    rows = 0
    for row in read_rows(source, root):
        rows += 1
        columns |= row.fields.keys() - _KNOWN
        pair = row_pair(row, system)
        pairs.setdefault((pair.prompt_id, pair.chosen, pair.rejected), pair)
    if not pairs:
        raise InputError(f"{source}: found no rows; wanted preference pairs")
    return Imported(list(pairs.values()), tuple(sorted(columns)), rows - len(pairs))


def read_prompts(source: str, root: Path, *, system: str | None = None) -> list[Prompt]:
    """Read prompts without labels: rows with `prompt`, text or messages.

    Raises:
        InputError: as `read_pairs`.
    """
    prompts: dict[str, Prompt] = {}
    for row in read_rows(source, root):
        prompt = row_prompt(row, system)
        prompts.setdefault(prompt.prompt_id, prompt)
    return list(prompts.values())


@dataclass(frozen=True)
class Instruction:
    """A prompt of an instruction set, and the answer that it comes with, if it does."""

    prompt: Prompt
    output: str | None
    generator: str | None


def read_instructions(source: str, root: Path, *, system: str | None = None) -> list[Instruction]:
    """Read an instruction set in its order: rows with `instruction` (AlpacaEval's) or `prompt`.

    Raises:
        InputError: as `read_pairs`; also where an instruction is there twice or only some have
            an output.
    """
    found: dict[str, Instruction] = {}
    for row in read_rows(source, root):
        prompt = row_instruction(row, system)
        if prompt.prompt_id in found:
            row.fail("instruction", "is there twice", "every instruction once")
        output = _text(row, "output") if "output" in row.fields else None
        if found and (output is None) != (next(iter(found.values())).output is None):
            row.fail("output", "missing in some rows", "an output in every row or in none")
        generator = str(row.fields.get("generator", "reference"))
        found[prompt.prompt_id] = Instruction(prompt, output, None if output is None else generator)
    if not found:
        raise InputError(f"{source}: found no rows; wanted instructions")
    return list(found.values())


@dataclass(frozen=True)
class GivenAnswer:
    """An answer of a user's file: its prompt, text and end, and all fields of its row."""

    prompt: list[Message]
    text: str
    finish_reason: FinishReason
    row: Row


def read_answers(source: str, root: Path) -> list[GivenAnswer]:
    """Read answers to prompts: rows with `prompt`, `response` and maybe `finish_reason`.

    Raises:
        InputError: as `read_pairs`; also where there are no rows.
    """
    answers = [
        GivenAnswer(_prompt(row), _text(row, "response"), _finish_reason(row, "finish_reason"), row)
        for row in read_rows(source, root)
    ]
    if not answers:
        raise InputError(f"{source}: found no rows; wanted answers, with 'prompt' and 'response'")
    return answers


def read_annotations(source: str, root: Path) -> list[dict[str, Any]]:
    """Read annotations: JSON, JSON Lines or Parquet, gzipped or not, in their order.

    Returns:
        Dicts with `instruction`, `output_1`, `output_2`, `generator_1`, `generator_2`, `annotator`
        (None where it is not said) and `preference`: from 1 (output_1, the baseline's, wins) to
        2 (the model's wins), 1.5 a tie (also where the file has 0, as older ones do), None where
        the annotator failed.

    Raises:
        InputError: the file cannot be read or holds no row, a row lacks a field, or its
            preference is none.
    """
    annotations = [_annotation(row) for row in read_rows(source, root)]
    if not annotations:
        raise InputError(f"{source}: found no rows; wanted annotations")
    return annotations


def row_prompt(row: Row, system: str | None) -> Prompt:
    """The prompt of a row; raises as `read_prompts`."""
    turns = _with_system(_prompt(row), system)
    return Prompt(prompt_id=prompt_hash(turns), prompt=turns)


def row_instruction(row: Row, system: str | None) -> Prompt:
    """The prompt of a row of an instruction set; raises as `read_instructions`."""
    if "prompt" not in row.fields:
        row.fields["prompt"] = _text(row, "instruction")
    return row_prompt(row, system)


def row_pair(row: Row, system: str | None) -> Pair:
    """The pair of a row; raises as `read_pairs`."""
    chosen, rejected = (_field(row, name) for name in ("chosen", "rejected"))
    if type(chosen) is not type(rejected):
        row.fail("rejected", "another type than 'chosen'", "both as text or both as messages")
    if isinstance(chosen, list):
        prompt, texts = _conversations(row, chosen, rejected)
    elif "prompt" in row.fields:
        prompt, texts = _prompt(row), (chosen, rejected)
    else:
        prompt, texts = _split_text(row, chosen, rejected)
    prompt = _with_system(prompt, system)
    return Pair(
        pair_id=pair_hash(prompt, *texts),
        prompt_id=prompt_hash(prompt),
        prompt=prompt,
        chosen=texts[0],
        rejected=texts[1],
        chosen_finish_reason=_finish_reason(row, "chosen_finish_reason"),
        rejected_finish_reason=_finish_reason(row, "rejected_finish_reason"),
    )


def _with_system(turns: list[Message], system: str | None) -> list[Message]:
    if system is None or turns[0]["role"] == "system":
        return turns
    return [{"role": "system", "content": system}, *turns]


def _field(row: Row, name: str) -> Any:
    if name not in row.fields:
        found = ", ".join(row.fields) or "no fields"
        row.fail(name, f"missing (found {found})", "an answer, as text or messages")
    value = row.fields[name]
    if isinstance(value, list):
        return _messages(row, name, value)
    return _clean(row, name, value)


def _text(row: Row, name: str) -> str:
    if name not in row.fields:
        row.fail(name, f"missing (found {', '.join(row.fields) or 'no fields'})", "text")
    return _clean(row, name, row.fields[name])


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


def _prompt(row: Row) -> list[Message]:
    if "prompt" not in row.fields:
        row.fail("prompt", f"missing (found {', '.join(row.fields)})", "text or messages")
    value = row.fields["prompt"]
    if isinstance(value, list):
        turns = _messages(row, "prompt", value)
    else:
        turns = [{"role": "user", "content": _clean(row, "prompt", value)}]
    if not turns[-1]["content"].strip():
        row.fail("prompt", "found nothing but blanks", "a question or an instruction")
    return turns


def _conversations(
    row: Row, chosen: list[Message], rejected: list[Message]
) -> tuple[list[Message], tuple[str, str]]:
    """Prompt and both answers of rows whose answers are messages, with or without the prompt."""
    given = _prompt(row) if isinstance(row.fields.get("prompt"), list) else []
    if not given and len(chosen) == len(rejected) == 1 and "prompt" in row.fields:
        given = _prompt(row)
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
    shared = commonprefix([chosen, rejected])  # noqa: RUF071, as these are texts and no paths
    end = max(shared.rfind(" "), shared.rfind("\n")) + 1
    if not shared[:end].strip():
        row.fail("prompt", "missing, and chosen and rejected begin differently", "a prompt")
    prompt = cast(Message, {"role": "user", "content": shared[:end].strip()})
    return [prompt], (chosen[end:], rejected[end:])


def _finish_reason(row: Row, name: str) -> FinishReason:
    value = row.fields.get(name, "stop")
    if value not in ("stop", "length"):
        row.fail(name, f"found {value!r}", "stop or length")
    return cast(FinishReason, value)


def _annotation(row: Row) -> dict[str, Any]:
    for name in _ANNOTATED:
        value = row.fields.get(name)
        if not isinstance(value, str):
            row.fail(name, "missing" if value is None else f"found {value!r:.40}", "text")
    value = row.fields.get("preference")
    if value != value:  # NaN, as JSON of some writers has it
        value = None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and (value == 0 or 1 <= value <= 2)):
        row.fail("preference", f"found {value!r:.40}", "a number from 1 to 2, 0 or null")
    return {
        **{name: row.fields.get(name) for name in (*_ANNOTATED, "annotator")},
        "preference": None if value is None else float(value) or 1.5,
    }
