"""A sweep's cells as experiments of DVC: queued, run one after another, found again."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from spa.errors import SpaError
from spa.layout import Layout
from spa.sweeps.cells import PREFIX, Cell
from spa.tracking.server import connect, find_experiment, tolerant, tracking_uri


def check_tree(layout: Layout) -> None:
    """Experiments are kept under the commit that they begin from, so that all must stand there.

    Raises:
        SpaError: there is no commit, or tracked files changed since.
    """
    for file in (layout.dvc_yaml, layout.params):
        if git(layout, "cat-file", "-e", f"HEAD:./{layout.show(file)}") is None:
            raise SpaError(
                f"sweep: {layout.show(file)} is in no commit; wanted the pipeline in git, as "
                "experiments begin from a commit; `git add` and `git commit` it"
            )
    changed = git(layout, "diff", "HEAD", "--name-only", "--relative") or ""
    if changed:
        raise SpaError(
            f"sweep: {', '.join(changed.split())} changed since the last commit; wanted "
            "experiments that the commit tells all about; `git commit` or `git stash` first"
        )


def experiments(layout: Layout, revision: str = "HEAD") -> dict[str, str]:
    """Finished experiments of sweeps that began from a commit: names, and the refs that hold them.

    Raises:
        SpaError: there is no such commit.
    """
    commit = git(layout, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise SpaError(f"sweep: found no commit {revision!r}; wanted one that a sweep began from")
    place = f"refs/exps/{commit[:2]}/{commit[2:]}/"
    refs = (git(layout, "for-each-ref", "--format=%(refname)", place) or "").split()
    return {ref.removeprefix(place): ref for ref in refs if ref.startswith(place + PREFIX)}


def queue_cells(layout: Layout, raw: Mapping[str, Any], cells: Sequence[Cell]) -> int:
    """Queue the cells that have no result and wait in no queue; returns how many.

    compute.yaml, which git does not hold, goes with each.

    Raises:
        SpaError: DVC does not take one.
    """
    known = experiments(layout).keys() | _waiting(layout)
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
    """
    tolerant(lambda: find_experiment(connect(layout), layout))  # its place for artefacts is made
    here = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri(layout)}
    _dvc(layout, "exp", "run", "--run-all", env=here)


def git(layout: Layout, *arguments: str) -> str | None:
    """What git says in the pipeline's folder; None where it fails."""
    command = ["git", "-C", str(layout.root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _waiting(layout: Layout) -> set[str]:
    """Names of experiments that are queued or run at this moment."""
    from dvc.repo import Repo

    with Repo(str(layout.root)) as repo:
        queue = repo.experiments.celery_queue
        return {entry.name for entry in (*queue.iter_queued(), *queue.iter_active())}


def _dvc(layout: Layout, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=layout.root, check=False, **options)
