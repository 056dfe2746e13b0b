"""Pools, row by row: who was drawn where, and what must stay apart."""

from collections.abc import Sequence
from typing import Any

from spa.audit.findings import Findings
from spa.errors import ArtefactError, SpaError
from spa.layout import Layout
from spa.params import Params
from spa.raw_data import pools_as_split, read_raw_data
from spa.records import Pair, Prompt, Record, content_hash, prompt_hash
from spa.tables import read_columns

PAIR_POOLS = ("seed", "gold", "hidden_gold")


class Rows:
    """A Parquet file's columns as lists; none where the file cannot be read, which is a fault."""

    def __init__(self, layout: Layout, file: Any, kind: type[Record], found: Findings) -> None:
        self.name = layout.show(file)
        self._columns: dict[str, list[Any]] = {name: [] for name in kind.SCHEMA.names}
        try:
            self.table = read_columns(file, kind)
        except ArtefactError as error:
            found.fault(self.name, str(error).removeprefix(f"{file}: "))
            found.unread.add(self.name)
            return
        columns = {name: self.table[name].to_pylist() for name in kind.SCHEMA.names}
        said = {name: column for name, column in columns.items() if name not in kind.OPTIONAL}
        nulls = [(n, row) for n, column in said.items() for row in _nulls(column)]
        for name, row in nulls:
            found.fault(self.name, f"{name} is null", row)
        if nulls:
            found.unread.add(self.name)
        else:
            self._columns = columns

    def __getitem__(self, column: str) -> list[Any]:
        return self._columns[column]

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))


def _nulls(column: list[Any]) -> list[int]:
    """Rows, from 1, that say nothing, or whose list has something that does not."""
    return [
        row
        for row, value in enumerate(column, 1)
        if value is None or (isinstance(value, list) and None in value)
    ]


def audit_pools(
    layout: Layout, params: Params, found: Findings, *, redraw: bool
) -> dict[str, Rows]:
    """Check ids, that pools share no prompt, and that they are what the raw data gives.

    Args:
        layout: the pipeline.
        params: of the pipeline.
        found: takes the faults.
        redraw: whether data/raw is as it was, so that the pools can be drawn again.

    Returns:
        The pools by name.
    """
    names = [*PAIR_POOLS, "development", "test", *params.rounds]
    kinds = {name: Pair if name in PAIR_POOLS else Prompt for name in names}
    pools = {name: Rows(layout, layout.pool(name), kinds[name], found) for name in names}
    for name, rows in pools.items():
        check_ids(rows, found, pairs=name in PAIR_POOLS)
    _check_earlier(layout, params, pools, found)
    _check_apart({name: rows for name, rows in pools.items() if name != "hidden_gold"}, found)
    if not redraw:
        found.note("data/raw changed: the pools were not drawn again from it")
        return pools
    try:
        drawn = pools_as_split(params, read_raw_data(layout, params.split))
    except SpaError as error:
        found.note(f"the pools cannot be drawn again: {error}")
        return pools
    lists: dict[str, Sequence[Pair | Prompt]] = {
        "seed": drawn.seed, "gold": drawn.gold, "hidden_gold": drawn.hidden_gold,
        "development": drawn.development, "test": drawn.test, **drawn.rounds,
    }  # fmt: skip
    for name, wanted in lists.items():
        key = "pair_id" if name in PAIR_POOLS else "prompt_id"
        ids = [getattr(row, key) for row in wanted]
        found.order(pools[name].name, pools[name][key], ids, "the split of data/raw")
        if name in PAIR_POOLS and pools[name][key] == ids:
            _check_ends(pools[name], wanted, found)
    return pools


def _check_earlier(layout: Layout, params: Params, pools: dict[str, Rows], found: Findings) -> None:
    """What a round's filter takes for prompts of earlier rounds are the pools before."""
    before: list[str] = []
    for name in params.rounds:
        rows = Rows(layout, layout.earlier(name), Prompt, found)
        found.order(rows.name, rows["prompt_id"], before, "the pools of the rounds before")
        before = [*before, *pools[name]["prompt_id"]]


def _check_ends(rows: Rows, wanted: Sequence[Any], found: Findings) -> None:
    """Answers ended as the raw data says; no id tells."""
    for side in ("chosen_finish_reason", "rejected_finish_reason"):
        for row, (own, pair) in enumerate(zip(rows[side], wanted, strict=True), 1):
            if own != getattr(pair, side):
                found.fault(rows.name, f"{side} {own}; data/raw has {getattr(pair, side)}", row)


def check_ids(rows: Rows, found: Findings, *, pairs: bool) -> None:
    """Every id is the hash of its row's content."""
    for row, (own, prompt) in enumerate(zip(rows["prompt_id"], rows["prompt"], strict=True), 1):
        if found.prompts.get(own) == prompt:
            continue
        if prompt_hash(prompt) == own:
            found.prompts[own] = prompt
        else:
            found.fault(rows.name, f"prompt_id {own} is not the hash of its prompt", row)
    if not pairs:
        return
    columns = (rows[name] for name in ("pair_id", "prompt_id", "chosen", "rejected"))
    for row, (own, prompt, chosen, rejected) in enumerate(zip(*columns, strict=True), 1):
        if content_hash(prompt, chosen, rejected) != own:
            found.fault(rows.name, f"pair_id {own} is not the hash of its prompt and answers", row)


def _check_apart(pools: dict[str, Rows], found: Findings) -> None:
    first: dict[str, str] = {}
    for rows in pools.values():
        for row, prompt_id in enumerate(rows["prompt_id"], 1):
            other = first.setdefault(prompt_id, rows.name)
            if other != rows.name:
                found.fault(rows.name, f"prompt {prompt_id} is in {other} as well", row)
