"""Annotations of a file as annotator: what somebody or another tool said of these answers."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from spa.annotation.annotator import Comparison, as_instruction
from spa.errors import AnnotationError


class RecordedAnnotator:
    """Looks preferences up by question and both answers, in either order of the answers."""

    def __init__(self, rows: Iterable[dict[str, Any]], *, file: Path | str) -> None:
        """Take annotations in AlpacaEval's format; a null preference counts as not recorded.

        Raises:
            AnnotationError: two rows say differently of the same answers.
        """
        self._file = file
        self._known: dict[tuple[str, str, str], float] = {}
        for row in rows:
            if row["preference"] is not None:
                self._note(row)

    def _note(self, row: dict[str, Any]) -> None:
        key = (row["instruction"], row["output_1"], row["output_2"])
        share = row["preference"] - 1
        if (before := self._known.setdefault(key, share)) != share:
            raise AnnotationError(
                f"{self._file}: found preferences {before + 1:g} and {share + 1:g} of the same two "
                f"answers to {row['instruction'][:60]!r}; wanted one; take a row out"
            )

    def prefer(self, comparisons: Sequence[Comparison]) -> list[float]:
        """See `Annotator.prefer`.

        Raises:
            AnnotationError: a comparison is not recorded; says how many are not.
        """
        found = [self._look_up(comparison) for comparison in comparisons]
        missing = [c for c, share in zip(comparisons, found, strict=True) if share is None]
        if missing:
            question = as_instruction(missing[0].prompt)[:60]
            raise AnnotationError(
                f"{self._file}: {len(missing)} of {len(comparisons)} comparisons are not recorded, "
                f"first of them answers to {question!r}; wanted a preference for every pair of "
                "answers; annotate these outputs and add them"
            )
        return [share for share in found if share is not None]

    def _look_up(self, comparison: Comparison) -> float | None:
        question = as_instruction(comparison.prompt)
        first, second = comparison.first.text, comparison.second.text
        if first == second:
            return 0.5
        if (share := self._known.get((question, first, second))) is not None:
            return float(share)
        turned = self._known.get((question, second, first))
        return None if turned is None else 1.0 - float(turned)
