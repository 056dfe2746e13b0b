"""An audit as a whole: silent on what is whole, and its command."""

import json
import shutil
import subprocess
import sys
from operator import itemgetter
from pathlib import Path

import pytest

from spa.audit import audit
from spa.dag import read_lock
from spa.errors import ArtefactError
from spa.layout import Layout
from spa.manifest import root_hash
from tests.spa.audit.tampering import another_margin, edit


def test_a_whole_pipeline_has_no_fault_and_a_root_hash(whole: Layout) -> None:
    found = audit(whole)
    assert found.findings.faults == []
    assert found.findings.notes == []
    assert found.pairs == 8 + 12 + 12
    assert found.root_hash == root_hash(whole)


def test_a_run_without_manifests_is_said_to_be_of_an_older_spa(run: Layout) -> None:
    shutil.rmtree(run.manifest("x").parent)
    found = audit(run)
    assert found.root_hash is None
    assert found.findings.faults[0].file == "data/manifests"
    with pytest.raises(ArtefactError, match="wanted every stage's manifest; run `dvc repro`"):
        root_hash(run)


def test_the_command_exits_1_with_one_object_or_one_line_a_fault(run: Layout) -> None:
    edit(run.kept(1), another_margin)
    spa = [sys.executable, "-c", "from stages._app import run; run()", "audit"]
    done = subprocess.run([*spa, "--json"], cwd=run.root, capture_output=True, text=True)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["ok"] is False
    assert {"file": "data/round-1/kept.parquet", "row": 5} in [
        {"file": f["file"], "row": f["row"]} for f in told["faults"]
    ]
    assert done.stderr == ""


def test_dvc_agrees_with_the_hashes_made_here(run: Layout) -> None:
    """DVC itself records the same files, in a dvc.lock of its own."""
    ours = read_lock(run)
    run.dvc_lock.unlink()
    dvc = Path(sys.executable).parent / "dvc"
    for command in (["init", "--no-scm", "--quiet"], ["commit", "--force", "--quiet"]):
        subprocess.run([dvc, *command], cwd=run.root, check=True, capture_output=True)
    theirs = read_lock(run)
    assert theirs.keys() == ours.keys()
    for name, stage in ours.items():
        for kind in ("deps", "outs"):
            key = itemgetter("path")
            assert sorted(theirs[name][kind], key=key) == sorted(stage[kind], key=key)
        assert theirs[name].get("params") == stage.get("params")
