"""Reading the preference data and prompts that people have, in the shapes they have them.

| shape | fields |
|---|---|
| TRL, explicit prompt | `prompt`, `chosen`, `rejected`: text or messages |
| TRL, implicit prompt | `chosen`, `rejected`: text or messages that begin alike |
| UltraFeedback binarized | `prompt` as text; `chosen`, `rejected` as whole conversations |

From JSON Lines, JSON, Parquet (each also gzipped, but Parquet), a folder of such files, or a
Hub dataset with its commit pinned. Other fields are dropped and named.
"""

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any, NoReturn, cast

import pyarrow as pa
import pyarrow.parquet as pq

from spa.errors import InputError
from spa.records import FinishReason, Message, Pair, Prompt, pair_hash, prompt_hash

_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")
_SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".parquet")
_FINISH = ("chosen_finish_reason", "rejected_finish_reason")
_KNOWN = {"prompt", "chosen", "rejected", *_FINISH}


@dataclass(frozen=True)
class Imported:
    """Pairs of a source, the columns left unread, and how many repeated rows were dropped."""

    pairs: list[Pair]
    dropped_columns: tuple[str, ...]
    repeated: int


@dataclass(frozen=True)
class _Row:
    """A row and where it stands; `fail` raises the one error that bad rows get."""

    file: str
    number: int
    fields: dict[str, Any]

    def fail(self, field: str, found: str, wanted: str) -> NoReturn:
        raise InputError(
            f"{self.file}, row {self.number}, field '{field}': {found}; wanted {wanted}; "
            "mend the row or take it out"
        )


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
    for row in _rows(source, root):
        rows += 1
        columns |= row.fields.keys() - _KNOWN
        pair = _pair(row, system)
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
    for row in _rows(source, root):
        turns = _with_system(_prompt(row), system)
        prompt = Prompt(prompt_id=prompt_hash(turns), prompt=turns)
        prompts.setdefault(prompt.prompt_id, prompt)
    return list(prompts.values())


def _rows(source: str, root: Path) -> Iterator[_Row]:
    place = root / source
    if place.exists():
        for file in _files(place, source):
            name = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
            yield from _file_rows(file, name)
    elif hub := _HUB.fullmatch(source):
        yield from _hub_rows(hub["name"], hub["revision"])
    else:
        raise InputError(
            f"{source}: not found; wanted a file or folder below the pipeline's, or a Hub dataset "
            "with its commit, org/name@40 hex digits; mend split.source in params.yaml"
        )


def _files(place: Path, source: str) -> list[Path]:
    files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    wrong = [file for file in files if not file.name.endswith(_SUFFIXES)]
    if wrong or not files:
        found = wrong[0].name if wrong else "no file"
        raise InputError(f"{source}: found {found}; wanted files ending in {', '.join(_SUFFIXES)}")
    return files


def _file_rows(file: Path, name: str) -> Iterator[_Row]:
    if file.suffix == ".parquet":
        try:
            table = pq.read_table(file, partitioning=None)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{name}: cannot be read as Parquet ({error})") from error
        for number, fields in enumerate(table.to_pylist(), 1):
            yield _Row(name, number, {k: v for k, v in fields.items() if v is not None})
        return
    text = _text(file, name)
    if ".jsonl" not in file.name:
        values = _parse(text, name, 1)
        if not isinstance(values, list):
            raise InputError(f"{name}: found {type(values).__name__}; wanted a list of rows")
        numbered = list(enumerate(values, 1))
    else:
        lines = enumerate(text.split("\n"), 1)
        numbered = [(n, _parse(line, name, n)) for n, line in lines if line.strip()]
    for number, value in numbered:
        if not isinstance(value, dict):
            raise InputError(
                f"{name}, row {number}: found {type(value).__name__}; wanted an object with fields"
            )
        yield _Row(name, number, value)


def _text(file: Path, name: str) -> str:
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError) as error:
        raise InputError(f"{name}: cannot be read ({error})") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"{name}, row {number}: found bytes that are not UTF-8; save the file as UTF-8"
        ) from error


def _parse(text: str, name: str, number: int) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{name}, row {number}: is not JSON ({error}); mend the row") from error


def _hub_rows(name: str, revision: str) -> Iterator[_Row]:
    from datasets import load_dataset

    try:
        dataset = load_dataset(name, revision=revision, split="train")
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(f"{name}@{revision}: cannot be fetched from the Hub ({text})") from error
    for number, fields in enumerate(dataset, 1):
        yield _Row(f"{name}@{revision[:8]}", number, dict(fields))


def _pair(row: _Row, system: str | None) -> Pair:
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


def _field(row: _Row, name: str) -> Any:
    if name not in row.fields:
        found = ", ".join(row.fields) or "no fields"
        row.fail(name, f"missing (found {found})", "an answer, as text or messages")
    value = row.fields[name]
    if isinstance(value, list):
        return _messages(row, name, value)
    return _clean(row, name, value)


def _clean(row: _Row, name: str, value: Any) -> str:
    if not isinstance(value, str):
        row.fail(name, f"found {json.dumps(value, default=str)[:40]}", "text or messages")
    if "\x00" in value:
        row.fail(name, "found a NUL character", "text")
    try:
        value.encode()
    except UnicodeEncodeError:
        row.fail(name, "found half of a surrogate pair", "text that is valid Unicode")
    return value


def _messages(row: _Row, name: str, value: Sequence[Any]) -> list[Message]:
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


def _prompt(row: _Row) -> list[Message]:
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
    row: _Row, chosen: list[Message], rejected: list[Message]
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


def _split_text(row: _Row, chosen: str, rejected: str) -> tuple[list[Message], tuple[str, str]]:
    """Prompt and answers of plain texts that begin alike, cut at the last blank they share."""
    shared = commonprefix([chosen, rejected])  # noqa: RUF071, as these are texts and no paths
    end = max(shared.rfind(" "), shared.rfind("\n")) + 1
    if not shared[:end].strip():
        row.fail("prompt", "missing, and chosen and rejected begin differently", "a prompt")
    prompt = cast(Message, {"role": "user", "content": shared[:end].strip()})
    return [prompt], (chosen[end:], rejected[end:])


def _finish_reason(row: _Row, name: str) -> FinishReason:
    value = row.fields.get(name, "stop")
    if value not in ("stop", "length"):
        row.fail(name, f"found {value!r}", "stop or length")
    return cast(FinishReason, value)
