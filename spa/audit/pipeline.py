"""Is everything as it was made? Every file against two records, every row against its parents.

Tamper-evident, not tamper-proof: whoever can write all files can also make dvc.lock and the
manifests anew. The root hash, signed outside (a git tag), shows that as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from spa.audit.figures import audit_evaluation, audit_summary
from spa.audit.files import FileAudit
from spa.audit.findings import Findings
from spa.audit.flags import audit_given_flags
from spa.audit.pools import Rows, audit_pools
from spa.audit.rounds import RoundAudit
from spa.audit.steps import audit_log
from spa.audit.training import audit_apart
from spa.dag import read_lock, read_stages
from spa.errors import ArtefactError
from spa.layout import Layout
from spa.manifest import root_hash
from spa.param_files import load_params
from spa.params import Params
from spa.records import TrainingRow


@dataclass(frozen=True)
class Audit:
    """What an audit found, how many pairs it read, and the root hash (None without manifests)."""

    findings: Findings
    pairs: int
    root_hash: str | None


def audit(layout: Layout) -> Audit:
    """Check a pipeline, as far as it has run.

    Raises:
        ParamsError: params.yaml or dvc.yaml cannot be read.
        ArtefactError: dvc.lock cannot be read.
    """
    params, stages, lock = load_params(layout.params), read_stages(layout), read_lock(layout)
    found = Findings()
    files = FileAudit(layout, params, stages, lock, found)
    changed = files.run()
    raw_as_was = not any(file.startswith(f"{layout.show(layout.raw)}/") for file in changed)
    done = [name for name in params.rounds if f"train@{name}" in lock]
    pairs = audit_rows(layout, params, found, rounds=done, model=files.model, redraw=raw_as_was)
    try:
        root = root_hash(layout)
    except ArtefactError:
        root = None
    return Audit(found, pairs, root)


def audit_rows(
    layout: Layout,
    params: Params,
    found: Findings,
    *,
    rounds: Sequence[str],
    model: Callable[[str], str],
    redraw: bool,
) -> int:
    """Check every row against the rows that it came from, whatever the records say of the files.

    Args:
        layout: the pipeline.
        params: of the pipeline.
        found: takes the faults.
        rounds: those that have run to the end of training.
        model: the content hash of a round's policy.
        redraw: whether data/raw is as it was, so that the pools can be drawn again.

    Returns:
        How many pairs were read.
    """
    if not layout.pools.is_dir():
        return 0
    pools = audit_pools(layout, params, found, redraw=redraw)
    pairs = len(pools["seed"])
    audit_apart(pools["seed"], pools, found)
    checks = params.filter.checks
    trained = audit_given_flags(layout, 0, pools["seed"], checks, found)
    if layout.flagged("gold").is_file():  # runs of an older spa have none
        audit_given_flags(layout, "gold", pools["gold"], checks, found)
    if layout.training_log(0).is_file():
        log = Rows(layout, layout.training_log(0), TrainingRow, found)
        audit_log(log, trained, params.for_round(0), 0, found)
    for name in tqdm(rounds, desc="rounds", unit="round", disable=None):
        sampler = model(params.rounds[name].prev)
        own = RoundAudit(layout, params, int(name), pools, found, sampler=sampler)
        own.run()
        pairs += own.pairs
    for name in ("base", "0", *params.rounds, "rival"):
        audit_evaluation(layout, name, pools, found)
    audit_summary(layout, params, found)
    return pairs
