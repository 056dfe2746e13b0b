"""The gradient of the tokens that a pass looks up, kept to the rows of those tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def by_row(model: Any) -> Iterator[None]:
    """Within this, forward passes look tokens up so that backward ones add rows to a gradient.

    By itself autograd makes a matrix as large as the vocabulary's for every lookup, zero but for
    some hundred rows, and holds it and that of a head with the same weights until all are there.
    Here the head's and the rows are added to the weight's gradient as they come, which is the
    same but for rounding.

    Only on a CPU, as a GPU adds rows in no fixed order, and in one process, as others would not
    learn of them. A model whose table is frozen or of another kind is left as it is.
    """
    table = model.get_input_embeddings()
    if not _can_take_rows(table):
        yield
        return
    weight = table.weight
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    rows = nn.Parameter(weight.detach())  # a second leaf of the same numbers
    rows.grad = weight.grad
    table.weight, table.sparse = rows, True
    try:
        yield
    finally:
        table.weight, table.sparse = weight, False


def _can_take_rows(table: Any) -> bool:
    if not isinstance(table, nn.Embedding) or table.scale_grad_by_freq:
        return False
    return table.weight.requires_grad and table.weight.device.type == "cpu"
