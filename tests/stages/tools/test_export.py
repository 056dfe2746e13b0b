"""`spa export` from the command line."""

import json
import subprocess
import sys
from pathlib import Path

from spa.files import hash_file
from spa.layout import Layout
from spa.manifest import root_hash
from tests.exported_run import copy_run

SPA = [sys.executable, "-c", "from stages._app import run; run()", "export"]


def _spa(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SPA, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_it_prints_one_object_or_files_hash_and_tag(exported_run: Layout, tmp_path: Path) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    done = _spa("--round", "2", "--json", cwd=run.data)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["out"] == str(run.export(2))
    assert told["root_hash"] == root_hash(run)
    assert told["bundle_hash"] == hash_file(run.export(2) / "manifest.json")
    assert told["files"]["model/model.safetensors"] > 0
    said = _spa("--round", "2", cwd=run.root).stdout
    assert f"root hash: {told['root_hash']}\n" in said
    assert f"{told['tag']}\n" in said
    assert told["tag"].startswith(f'git tag -s export-round-2 -m "root hash {told["root_hash"]}"')
    assert "not included: raw data, held-out prompts, gold labels\n" in said


def test_out_is_where_it_was_called_and_errors_are_one_line(
    exported_run: Layout, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    done = _spa("--round", "1", "--out", str(tmp_path / "out"), cwd=exported_run.root)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {tmp_path}/out: found something else")
    assert done.stderr.count("\n") == 1
    assert _spa(cwd=exported_run.root).returncode == 2
