"""The training log's rows hold together, and where the gate is shut no label is softened."""

from spa.layout import Layout
from tests.spa.audit.tampering import Rows, by_rows_alone, edit


def test_a_label_doubted_before_the_gate_may_not_be_softened(rows: Layout) -> None:
    """In step 0 of two the detector looks, and softens nothing before step 1. A softened loss
    is alpha (0.1) times the margin more."""
    file = "data/round-1/training_log.parquet"

    def doubt(log: Rows) -> None:
        for row in log[:4]:
            row |= {"threshold": 0.9, "flagged": row["confidence"] < 0.9}

    def soften(log: Rows) -> None:
        row = next(row for row in log if row["flagged"])
        row |= {"refined": True, "loss": row["loss"] + 0.1 * row["margin"]}
        softened.append(log.index(row) + 1)

    softened: list[int | None] = []
    edit(rows.training_log(1), doubt)
    assert by_rows_alone(rows, file) == set()
    edit(rows.training_log(1), soften)
    assert by_rows_alone(rows, file) == set(softened)
