"""Which stages are still to run, as DVC sees it."""

import logging
from collections.abc import Mapping
from typing import Any

from spa.dag import Stage, downstream, read_lock
from spa.errors import ArtefactError
from spa.layout import Layout


def pending_stages(layout: Layout, stages: Mapping[str, Stage]) -> tuple[list[str], str | None]:
    """Names of the stages that `dvc repro` would run, in dvc.yaml's order, at most.

    A stage runs where its command, a dependency or a param changed, or an output is neither
    here nor in DVC's cache; whatever reads its outputs runs as well, though an output that
    comes out as before would spare it. Nothing is locked: this can be asked during a run.

    Returns:
        The names, and why all of them count where DVC cannot tell.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        if layout.dvc_lock.exists():
            read_lock(layout)  # cut in a number, it makes DVC fail with an error of Python's
        with Repo(str(layout.root)) as repo:
            known = {s.name: s for s in repo.index.stages if s.path_in_repo == "dvc.yaml"}
            changed = {name for name in stages if name not in known or _changed(known[name])}
    except (DvcException, ArtefactError) as error:
        text = " ".join(str(error).split())[:200]
        return list(stages), f"DVC cannot say what is up to date ({text}): every stage is counted"
    outs = [out for name in changed for out in stages[name].outs]
    later = set(downstream(stages, outs))
    return [name for name in stages if name in changed | later], None


def _changed(stage: Any) -> bool:
    """Whether a DVC stage has to run: something it reads changed, or an output is nowhere."""
    if stage.changed_stage() or any(dep.status() for dep in stage.deps):
        return True
    return any(_lost(out) for out in stage.outs)


def _lost(out: Any) -> bool:
    """Whether an output is another than recorded, or missing and not in the cache either."""
    status = out.status()
    if not status:
        return False
    missing = set(status.values()) == {"deleted"}
    return not (missing and out.use_cache and not out.changed_cache())
