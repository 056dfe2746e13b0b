"""A finished run that can be exported: recorded rows, made-up figures, tiny policies."""

import shutil
from pathlib import Path

from recorded_pipeline import write_recorded

from spa import report
from spa.dag import read_stages
from spa.files import read_json, write_json
from spa.layout import Layout
from spa.length_guard import health
from spa.manifest import write_manifest
from spa.records import SCHEMA_VERSION, FlaggedPair, JudgedPair
from spa.tables import read_table, write_table
from tests.finished_run import write_finished_run

LENGTHS = {
    "mean_characters": 210.0, "length_ratio": 1.05, "longer_preferred": 0.5,
    "longer_preferred_low": 0.4, "longer_preferred_high": 0.6, "equal_length_win_rate": 0.7,
    "length_gain": 0.0, "length_gain_low": -0.1,
}  # fmt: skip


def write_run(folder: Path, model: Path) -> Layout:
    """A run of two rounds with 12 prompts each, all of whose policies are `model`."""
    layout = write_recorded(folder, prompts=12)
    write_finished_run(layout)
    for name in ("base", "0", "1", "2", "rival"):
        shutil.rmtree(layout.policy(name))
        shutil.copytree(model, layout.policy(name))
    _warn(layout)
    for metrics in layout.data.glob("evaluation/*/metrics.json"):
        write_json(metrics, read_json(metrics) | LENGTHS)
    rows = report.read_rows(layout, ["1", "2"])
    checked = {row["round"]: health(row, rows[0]) for row in rows if row["round"].isdigit()}
    summary = {**report.summary(rows), "health": checked, "schema_version": SCHEMA_VERSION}
    write_json(layout.report / "summary.json", summary)
    record(layout)
    return layout


def _warn(layout: Layout) -> None:
    """Let a check speak against the first kept pair of round 1, which stays."""
    warned = read_table(layout.kept(1), JudgedPair)[0]
    flagged = read_table(layout.flagged(1), FlaggedPair)
    flagged.append(FlaggedPair(**warned.row(), reasons=["cut:chosen"], action="warn"))
    write_table(layout.flagged(1), flagged, FlaggedPair)


def copy_run(run: Layout, folder: Path) -> Layout:
    """A copy to change, without the code."""
    ignore = shutil.ignore_patterns("spa", "stages")
    return Layout(Path(shutil.copytree(run.root, folder, ignore=ignore)))


def record(layout: Layout) -> None:
    """Write every stage's manifest anew, as if the run had made the files as they are."""
    for name in read_stages(layout):
        write_manifest(layout, name)
