"""Is everything as it was made? Every file against two records, every row against its parents.

Tamper-evident, not tamper-proof: whoever can write all files can also make dvc.lock and the
manifests anew. The root hash, signed outside (a git tag), shows that as well.
"""

from dataclasses import dataclass

from tqdm import tqdm

from spa.audit_files import FileAudit
from spa.audit_pools import Rows, audit_evaluation, audit_pools
from spa.audit_rounds import RoundAudit
from spa.audit_training import audit_apart, audit_log
from spa.dag import read_lock, read_stages
from spa.errors import ArtefactError
from spa.findings import Findings
from spa.layout import Layout
from spa.manifest import root_hash
from spa.param_files import load_params
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
    pairs = 0
    if layout.pools.is_dir():
        pools = audit_pools(layout, params, found, redraw=raw_as_was)
        pairs = len(pools["seed"])
        audit_apart(pools["seed"], pools, found)
        if layout.training_log(0).is_file():
            log = Rows(layout, layout.training_log(0), TrainingRow, found)
            audit_log(log, pools["seed"]["pair_id"], params.for_round(0), 0, found)
        done = [name for name in params.rounds if f"train@{name}" in lock]
        for name in tqdm(done, desc="rounds", unit="round", disable=None):
            sampler = files.model(params.rounds[name].prev)
            rounds = RoundAudit(layout, params, int(name), pools, found, sampler=sampler)
            rounds.run()
            pairs += rounds.pairs
        for name in ("base", "0", *params.rounds, "rival"):
            audit_evaluation(layout, name, pools, found)
    try:
        root = root_hash(layout)
    except ArtefactError:
        root = None
    return Audit(found, pairs, root)
