"""Annotations in AlpacaEval's format: which of two outputs an annotator preferred."""

from pathlib import Path
from typing import Any

from spa.errors import InputError
from spa.importing.files import read_rows
from spa.importing.row import Row

_TEXTS = ("instruction", "output_1", "output_2", "generator_1", "generator_2")


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


def _annotation(row: Row) -> dict[str, Any]:
    for name in _TEXTS:
        value = row.fields.get(name)
        if not isinstance(value, str):
            row.fail(name, "missing" if value is None else f"found {value!r:.40}", "text")
    if "preference" not in row.fields:
        row.missing("preference", "a number from 1 to 2, 0 or null")
    value = row.fields["preference"]
    if value != value:  # NaN, as JSON of some writers has it
        value = None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and (value == 0 or 1 <= value <= 2)):
        row.fail("preference", f"found {value!r:.40}", "a number from 1 to 2, 0 or null")
    return {
        **{name: row.fields.get(name) for name in (*_TEXTS, "annotator")},
        "preference": None if value is None else float(value) or 1.5,
    }
