"""Edits of a finished run, with and without the records that tell of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from recorded_pipeline import write_lock

from spa.audit import audit, audit_rows
from spa.audit.findings import Findings
from spa.dag import Tree, read_stages
from spa.files import hash_file, write_json
from spa.layout import Layout
from spa.manifest import build_manifest, policy_hash
from spa.param_files import load_params

Rows = list[dict[str, Any]]


def by_rows_alone(layout: Layout, file: str) -> set[int | None]:
    """Rows at fault in a file where nothing but rows is looked at."""
    found, params = Findings(), load_params(layout.params)
    audit_rows(
        layout, params, found, rounds=["1", "2"], redraw=True,
        model=lambda round: policy_hash(layout.policy(round)),
    )  # fmt: skip
    return {fault.row for fault in found.faults if fault.file == file}


def edit(file: Path, change: Callable[[Rows], Rows | None]) -> None:
    """Change the rows of a Parquet file."""
    table = pq.read_table(file)
    rows = table.to_pylist()
    rows = change(rows) or rows
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)


def edit_yaml(file: Path, change: Callable[[Any], None]) -> None:
    """Change what a YAML file holds."""
    value = yaml.safe_load(file.read_text())
    change(value)
    file.write_text(yaml.safe_dump(value, sort_keys=False))


def forge(layout: Layout) -> None:
    """Make all records anew, as someone could who can write every file."""
    params, tree = load_params(layout.params), Tree(layout.root)
    for stage in read_stages(layout).values():
        made = build_manifest(layout, stage, params, tree, lambda f: hash_file(layout.root / f))
        write_json(layout.manifest(stage.name), made)
    write_lock(layout)


def rows_at_fault(layout: Layout, file: str) -> set[int | None]:
    """Rows at fault in a file by an audit of everything."""
    return {fault.row for fault in audit(layout).findings.faults if fault.file == file}


def another_margin(rows: Rows) -> None:
    """Give one pair a margin that its rewards do not."""
    rows[4]["margin"] += 0.01
