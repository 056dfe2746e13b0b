"""Stages of a tiny pipeline in one process, where DVC is not what is tested: nothing is imported
anew for each of them."""

import contextlib
import shlex
from collections.abc import Collection

from spa.dag import Stage, read_stages
from spa.layout import Layout
from stages._app import run


def run_stages(
    layout: Layout, *, until: str | None = None, only: Collection[str] | None = None
) -> None:
    """Run all stages, those up to one, or some, as their commands in dvc.yaml say.

    `dvc commit --force` then makes the run DVC's own, as if `dvc repro` had run it.
    """
    stages = in_order(layout)
    last = next((n for n, stage in enumerate(stages) if stage.name == until), len(stages))
    for stage in stages[: last + 1]:
        if only is not None and stage.name not in only:
            continue
        code = call(layout, stage.cmd)
        assert code == 0, stage.name


def call(layout: Layout, command: str) -> int:
    """Run a `spa` command in the pipeline's folder and return its exit code."""
    with contextlib.chdir(layout.root):
        try:
            run(shlex.split(command)[1:])
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


def in_order(layout: Layout) -> list[Stage]:
    """Stages so that each comes after those whose outputs it reads."""
    left, ordered = list(read_stages(layout).values()), []
    while left:
        waiting = {out for stage in left for out in stage.outs}
        ready = [s for s in left if not any(_reads(dep, out) for dep in s.deps for out in waiting)]
        ordered += ready
        left = [stage for stage in left if stage not in ready]
    return ordered


def _reads(dep: str, out: str) -> bool:
    return dep == out or dep.startswith(f"{out}/") or out.startswith(f"{dep}/")
