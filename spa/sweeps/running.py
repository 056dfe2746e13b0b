"""A sweep's cells as experiments of DVC: queued, run one after another, found again."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from spa.errors import SpaError
from spa.layout import Layout
from spa.sweeps.cells import PREFIX, Cell
from spa.tracking.server import connect, find_experiment, tolerant, tracking_uri

_WORKER = "dvc-exp-spa-sweep@localhost"
_PATIENCE = 5.0
"""Seconds between two looks at a queue that another process works on."""


class _Queue(NamedTuple):
    """Names of experiments in DVC's queue."""

    queued: set[str]
    running: set[str]


def check_tree(layout: Layout) -> None:
    """Experiments are kept under the commit that they begin from, so that all must stand there.

    Raises:
        SpaError: there is no commit, or tracked files changed since.
    """
    for file in (layout.dvc_yaml, layout.params):
        if git(layout, "cat-file", "-e", f"HEAD:./{layout.show(file)}") is None:
            raise SpaError(
                f"sweep: {layout.show(file)} is in no commit; wanted the pipeline in git, as "
                "experiments start from a commit; `git add` and `git commit` it"
            )
    changed = git(layout, "diff", "HEAD", "--name-only", "--relative") or ""
    if changed:
        raise SpaError(
            f"sweep: {', '.join(changed.split())} changed since the last commit; wanted "
            "no other changes, as experiments start from it; `git commit` or `git stash` first"
        )


def experiments(layout: Layout, revision: str = "HEAD") -> dict[str, str]:
    """Finished experiments of sweeps that began from a commit: names, and the refs that hold them.

    Raises:
        SpaError: there is no such commit.
    """
    commit = git(layout, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise SpaError(f"sweep: found no commit {revision!r}; wanted one that a sweep started from")
    place = f"refs/exps/{commit[:2]}/{commit[2:]}/"
    refs = (git(layout, "for-each-ref", "--format=%(refname)", place) or "").split()
    return {ref.removeprefix(place): ref for ref in refs if ref.startswith(place + PREFIX)}


def queue_cells(layout: Layout, raw: Mapping[str, Any], cells: Sequence[Cell]) -> int:
    """Queue the cells that have no result and wait in no queue; returns how many.

    compute.yaml, which git does not hold, goes with each.

    Raises:
        SpaError: DVC does not take one.
    """
    queue = _queue(layout)
    known = experiments(layout).keys() | queue.queued | queue.running
    new = [cell for cell in cells if cell.name not in known]
    copied = ["--copy-paths", layout.show(layout.compute)] if layout.compute.exists() else []
    for cell in new:
        changes = [part for text in cell.overrides(raw) for part in ("--set-param", text)]
        command = ["exp", "run", "--queue", "--name", cell.name, *copied, *changes]
        done = _dvc(layout, *command, capture_output=True, text=True)
        if done.returncode:
            raise SpaError(f"sweep: {cell}: DVC says: {' '.join(done.stderr.split())}")
    return len(new)


def run_queue(layout: Layout) -> None:
    """Run all that waits in DVC's queue, one after another.

    Each runs in a copy of the pipeline below .dvc/tmp; MLflow's runs go where the pipeline's are.
    The worker is a process of this one's: `dvc exp run --run-all` waits for ever where an earlier
    worker was killed, and a worker of a busy machine may end before its queue does.
    """
    tolerant(lambda: find_experiment(connect(layout), layout))  # its place for artefacts is made
    here = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri(layout)}
    while left := _queue(layout).queued:
        _dvc(layout, "exp", "queue-worker", _WORKER, "--clean", env=here, capture_output=True)
        if _queue(layout).queued == left:
            time.sleep(_PATIENCE)  # a worker of that name is at it already


def git(layout: Layout, *arguments: str) -> str | None:
    """What git says in the pipeline's folder; None where it fails."""
    command = ["git", "-C", str(layout.root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _queue(layout: Layout) -> _Queue:
    """What waits and runs now; DVC goes on calling running what a killed worker had."""
    from dvc.repo import Repo

    with Repo(str(layout.root)) as repo:
        queue = repo.experiments.celery_queue
        running = queue.iter_active() if queue.worker_status() else ()
        names = [{entry.name for entry in entries} for entries in (queue.iter_queued(), running)]
    return _Queue(*names)


def _dvc(layout: Layout, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=layout.root, check=False, **options)
