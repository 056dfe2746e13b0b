"""What a file of pairs is and all its faults: by the rules of the importer and of the checks."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spa.checks import INPUT_CHECKS
from spa.checks.suites import pair_rules
from spa.errors import InputError
from spa.findings import check_finding
from spa.importing.row import Row
from spa.validation import Validation, validate

GOOD = "Yeast eats sugar in the flour and makes gas, which slowly lifts the dough."
OTHER = "Because there is air in it; bakers beat the batter until it is full of bubbles."
BOTH = f"{GOOD} {GOOD} {OTHER}"


def _row(number: int, **changes: Any) -> dict[str, Any]:
    prompt = f"Why does bread number {number} rise so high in a hot oven?"
    return {"prompt": prompt, "chosen": GOOD, "rejected": OTHER, **changes}


def _validate(folder: Path, rows: Sequence[Any]) -> Validation:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    (folder / "pairs.jsonl").write_bytes(b"\n".join(lines))
    return validate("pairs.jsonl", folder)


def _short(found: Validation) -> list[tuple[int | None, str | None, str, str]]:
    return [(fault.row, fault.field, fault.check, fault.action) for fault in found.faults]


def test_good_pairs_have_no_fault(tmp_path: Path) -> None:
    found = _validate(tmp_path, [_row(n, score=1) for n in range(4)])
    assert found == Validation(
        format="TRL preference, explicit prompt, plain text",
        kind="JSON Lines",
        rows=4,
        usable_pairs=4,
        faults=[],
        columns_not_read=["score"],
        other_use=None,
    )
    assert found.passed


BROKEN: dict[str, tuple[Any, list[str | None]]] = {
    "truncated": (b'{"prompt": "Why", "cho', [None]),
    "bytes": (b'{"prompt": "Why", "chosen": "\xff", "rejected": "b"}', ["chosen"]),
    "NUL": (_row(1, chosen="a\0"), ["chosen"]),
    "surrogate": (_row(1, rejected="\ud800"), ["rejected"]),
    "missing": ({"prompt": "Why?"}, ["chosen", "rejected"]),
    "types": (_row(1, chosen=3, rejected=[1]), ["chosen", "rejected"]),
    "all": ({"prompt": "", "chosen": 3}, ["chosen", "rejected", "prompt"]),
}


def test_every_broken_row_is_an_error_with_all_its_fields(tmp_path: Path) -> None:
    rows = [_row(0), *(row for row, _ in BROKEN.values()), _row(2)]
    found = _validate(tmp_path, rows)
    fields = enumerate((fields for _, fields in BROKEN.values()), 2)
    assert _short(found) == [(n, name, "read", "error") for n, names in fields for name in names]
    assert (found.rows, found.usable_pairs, found.passed) == (len(rows), 2, False)


UNUSABLE: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "identical": ({"rejected": GOOD}, None, "identical"),
    "empty": ({"chosen": ""}, "chosen", "empty"),
    "blank": ({"rejected": " \n\t"}, "rejected", "blank"),
    "token": ({"chosen": f"{GOOD}<|im_end|>"}, "chosen", "template_leak"),
    "turn": ({"rejected": f"{OTHER}\n\nHuman: And then?"}, "rejected", "template_leak"),
}


def test_unusable_pairs_are_no_errors(tmp_path: Path) -> None:
    rows = [_row(n, **changes) for n, (changes, _, _) in enumerate(UNUSABLE.values(), 1)]
    found = _validate(tmp_path, [_row(0), *rows, _row(9)])
    for number, (_, field, check) in enumerate(UNUSABLE.values(), 2):
        assert (number, field, check, "drop") in _short(found)
    assert {fault.row for fault in found.faults} == set(range(2, 2 + len(UNUSABLE)))
    assert (found.usable_pairs, found.passed) == (2, True)


def test_contradictions_are_both_unusable_and_repeats_only_after_the_first(tmp_path: Path) -> None:
    turned = _row(1, chosen=OTHER, rejected=GOOD)
    found = _validate(tmp_path, [_row(1), _row(2), _row(0), _row(2), turned])
    assert [(fault.row, fault.what) for fault in found.faults] == [
        (1, "the same answers to the same prompt have the opposite preference, in row 5"),
        (4, "the pair repeats an earlier one, in row 2"),
        (5, "the same answers to the same prompt have the opposite preference, in row 1"),
    ]
    assert found.usable_pairs == 2


WARNED: dict[str, tuple[dict[str, Any], str]] = {
    "near": ({"chosen": BOTH, "rejected": f"{BOTH} So"}, "near_identical"),
    "repetition": ({"rejected": "It rises again. " * 8}, "repetition"),
    "echo": ({"chosen": "Why does bread number 3 rise so high in a hot oven?"}, "prompt_echo"),
    "mojibake": ({"chosen": f"{GOOD} ItÃ©s true."}, "mojibake"),
    "length": ({"chosen": f"{GOOD} {OTHER} " * 9, "rejected": "Heat."}, "length_ratio"),
    "cut": ({"rejected_finish_reason": "length"}, "cut"),
    "role": ({"prompt": [{"role": "assistant", "content": "Ask me about bread."}]}, "role"),
    "long": ({"chosen": "A word, and more. " * 60_000}, "long"),
}


def test_warned_pairs_are_usable_and_named(tmp_path: Path) -> None:
    rows = [_row(n, **changes) for n, (changes, _) in enumerate(WARNED.values(), 1)]
    found = _validate(tmp_path, [_row(0), *rows])
    for number, (_, check) in enumerate(WARNED.values(), 2):
        assert (number, check) in {(fault.row, fault.check) for fault in found.faults}
    assert {fault.row for fault in found.faults} == set(range(2, 2 + len(WARNED)))
    assert {fault.action for fault in found.faults} == {"warn"}
    assert (found.usable_pairs, found.passed) == (1 + len(WARNED), True)


def test_every_reason_of_the_checks_has_words_and_its_own_action() -> None:
    row = Row("a.jsonl", 1, {})
    for rule in pair_rules(INPUT_CHECKS, judged=False):
        assert check_finding(row, rule.reason, None).action == rule.action


def test_a_damaged_file_is_a_report_and_an_absent_one_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    found = validate("a.parquet", tmp_path)
    assert _short(found) == [(None, None, "read", "error")]
    assert (found.rows, found.usable_pairs, found.format) == (0, 0, "unknown")
    with pytest.raises(InputError, match=r"b.parquet: not found"):
        validate("b.parquet", tmp_path)


def test_rows_of_a_folder_name_their_file(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for name in ("a", "b"):
        raw = json.dumps(_row(1)).encode()
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(raw))
    found = validate("many", tmp_path)
    assert found.kind == "JSON Lines, gzip"
    [fault] = found.faults
    assert (fault.file, fault.row) == ("many/b.jsonl.gz", 1)
    assert fault.what.endswith("in row 1 of many/a.jsonl.gz")


@pytest.mark.parametrize(
    ("row", "format", "use"),
    [
        ({"prompt": "Why?"}, "prompts without labels", "split.prompts"),
        ({"instruction": "Why?", "output": "So."}, "instructions", "split.instructions"),
        ({"prompt": "Why?", "response": "So."}, "answers without labels", "spa score"),
        ({"text": "Why?"}, "unknown", None),
    ],
)
def test_what_holds_no_pairs_is_told_where_it_belongs(
    row: dict[str, str], format: str, use: str | None, tmp_path: Path
) -> None:
    found = _validate(tmp_path, [row])
    assert (found.format, found.usable_pairs, found.passed) == (format, 0, False)
    assert (use is None and found.other_use is None) or str(use) in str(found.other_use)


def test_prompts_that_only_case_and_an_end_tell_apart_are_warned_of_once(tmp_path: Path) -> None:
    """Row 4 has the prompt of row 3 to the letter, which row 3's warning stands for."""
    loud = str(_row(1)["prompt"]).upper().rstrip("?")
    found = _validate(tmp_path, [_row(1), _row(2), _row(1, prompt=loud), _row(3, prompt=loud)])
    told = [fault for fault in found.faults if fault.check == "same_prompt"]
    assert [(f.row, f.field, f.action) for f in told] == [(3, "prompt", "warn")]
    assert told[0].what == "the prompt is nearly that of row 1; `spa split` says if pools share it"
    assert found.passed


@pytest.mark.shared
def test_real_human_like_pairs_are_nearly_all_usable(shared: Path) -> None:
    for name, rows in (("balanced", 652), ("natural", 634)):
        found = validate(f"gpt4_preferences/{name}.jsonl", shared)
        assert found.rows == rows
        assert found.usable_pairs > 0.98 * rows
        assert found.passed
