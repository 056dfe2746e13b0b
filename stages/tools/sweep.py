"""Tool `sweep`: the pipeline under several seeds and settings."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spa.layout import Layout
    from spa.sweeps.cells import Cell

Seeds = Annotated[
    int, typer.Option(min=1, help="Number of seeds, counting up from that of params.yaml.")
]
Set = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, for all experiments.")]
Grid = Annotated[
    list[str] | None, typer.Option("--grid", help="KEY=V1,V2: one experiment per value.")
]
Dry = Annotated[bool, typer.Option("--dry", help="Print what would run, and run nothing.")]
Show = Annotated[bool, typer.Option("--show", help="Run nothing; show what is finished.")]
Rev = Annotated[str, typer.Option("--rev", help="Commit that the sweep to show started from.")]


def main(
    seeds: Seeds = 1,
    fixed: Set = None,
    grid: Grid = None,
    dry: Dry = False,
    show: Show = False,
    rev: Rev = "HEAD",
) -> None:
    """Run the pipeline with several seeds and settings; show mean and spread over seeds.

    `spa sweep --seeds 3` runs params.yaml with three seeds; `--grid train.beta=0.05,0.1
    --grid rounds.2.train.lambda=0.25,0.5` four settings with each. These are DVC experiments,
    queued and run one after another in copies of the pipeline: what settings share runs once,
    `dvc exp show` lists them and `dvc exp apply NAME` applies one. To resume a stopped sweep, run
    the same command again; finished experiments are not rerun.

    The table is also written to data/report/sweep.csv: mean, standard deviation between seeds,
    lowest, highest and number of seeds for each figure.
    """
    from spa.layout import Layout

    layout = Layout.find()
    if show:
        raise typer.Exit(_show(layout, rev))
    cells = _plan(layout, seeds, fixed or [], grid or [])
    if dry:
        print("\n".join(f"{cell.name}  {cell}" for cell in cells))
        return
    failed = _run(layout, cells)
    _show(layout, "HEAD")
    for cell in failed:
        why = f"`dvc queue logs {cell.name}` shows why"
        print(f"{cell.name} ({cell}) has no result: {why}", file=sys.stderr)
    raise typer.Exit(1 if failed else 0)


def _plan(layout: "Layout", seeds: int, fixed: list[str], grid: list[str]) -> "list[Cell]":
    from spa.errors import ParamsError
    from spa.param_files import load_params, read_params
    from spa.sweeps.cells import plan_cells, without_effect

    load_params(layout.params)
    raw = read_params(layout.params)[0]
    cells = plan_cells(raw, seeds, fixed, grid)
    if len(cells) == 1 and not fixed:
        raise ParamsError("sweep: found one seed and no setting; give --seeds 3, --set or --grid")
    for note in without_effect(raw, cells):
        print(f"note: {note}", file=sys.stderr)
    return cells


def _run(layout: "Layout", cells: "list[Cell]") -> "list[Cell]":
    """Run what has no result yet; the cells that have none afterwards."""
    from spa.param_files import read_params
    from spa.sweeps.running import check_tree, experiments, queue_cells, run_queue

    check_tree(layout)
    known = experiments(layout)
    if any(cell.name not in known for cell in cells):
        new = queue_cells(layout, read_params(layout.params)[0], cells)
        print(f"sweep: {len(cells)} experiments, {new} of them queued now", flush=True)
        print(
            "sweep: `dvc queue status` shows which one runs, `dvc queue logs NAME` its output",
            flush=True,
        )
        run_queue(layout)
        known = experiments(layout)
    return [cell for cell in cells if cell.name not in known]


def _show(layout: "Layout", revision: str) -> int:
    """Show what is finished; the exit code."""
    from spa.files import replace_file
    from spa.sweeps.results import gather, spreads, to_csv, to_table

    rows = spreads(gather(layout, revision))
    if not rows:
        print(f"sweep: no experiment that started from {revision} has finished", file=sys.stderr)
        return 1
    with replace_file(layout.sweep) as file:
        file.write_text(to_csv(rows), encoding="utf-8")
    print(f"{to_table(rows)}\n\nThe table: {layout.show(layout.sweep)}")
    return 0
