"""A user's first hour: spa from a wheel, a folder, a CSV of pairs, and a report at its end."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from spa.code_lock import code_lists
from spa.layout import Layout
from tests.pipeline.tiny_params import ROOT
from tests.spa.test_scaffold import write_csv

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Installed:
    """An environment that has spa from a wheel, and everything else from the tests' own."""

    folder: Path

    @property
    def package(self) -> Path:
        """Where the wheel's `spa` lies."""
        return next(self.folder.glob("lib/python*/site-packages/spa"))

    def run(self, cwd: Path, *command: str, fails: bool = False) -> str:
        own = {
            k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")
        }
        places = [str(self.folder / "bin"), str(Path(sys.executable).parent), own["PATH"]]
        done = subprocess.run(
            command, cwd=cwd, env={**own, "PATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Built from a copy, as what an earlier build left in the folder could get into the wheel."""
    scratch = tmp_path_factory.mktemp("wheel")
    source, venv = scratch / "source", scratch / "venv"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("spa", "stages"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *offline, "-w", str(scratch), str(source)], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    wheel = next(scratch.glob("*.whl"))
    python = str(venv / "bin" / "python")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", str(wheel)], check=True)
    found = Installed(venv)
    libraries = sysconfig.get_path("purelib")  # a path alone: its own .pth files are not read
    (found.package.parent / "libraries.pth").write_text(libraries + "\n", encoding="utf-8")
    shutil.rmtree(source)
    return found


def test_a_wheel_a_csv_and_a_model_come_to_a_report_and_newer_code_reruns_its_stages(
    installed: Installed, tmp_path: Path, tiny_folder: Path
) -> None:
    where = "import spa; print(spa.__file__)"
    assert str(installed.package) in installed.run(tmp_path, "python", "-c", where)
    pairs = str(write_csv(tmp_path / "mine.csv", 60))
    options = ["--pairs", pairs, "--model", str(tiny_folder)]
    said = installed.run(tmp_path, "spa", "init", "mine", *options)
    assert said.split("Next:")[1].split("\n")[1:4] == ["  cd mine", "  spa doctor", "  dvc repro"]
    layout = Layout(tmp_path / "mine")
    for name, text in code_lists().items():
        assert layout.code_of(name).read_text(encoding="utf-8") == text  # the wheel has it all
    _make_tiny(layout)
    assert "doctor: no faults" in installed.run(layout.root, "spa", "doctor")
    installed.run(layout.root, "dvc", "repro", "--quiet")
    summary = json.loads((layout.report / "summary.json").read_text(encoding="utf-8"))
    assert [row["round"] for row in summary["rounds"]] == ["base", "0", "1", "rival"]
    assert installed.run(layout.root, "dvc", "status", "--json").strip() == "{}"

    with (installed.package / "judging.py").open("a", encoding="utf-8") as stream:
        stream.write("# another version\n")
    refused = installed.run(layout.root, "spa", "judge", "--round", "1", fails=True)
    assert refused.startswith("error: data/code: the installed spa has other code")
    assert refused.count("\n") == 1
    assert "lock: judge changed" in installed.run(layout.root, "spa", "lock")
    changed = json.loads(installed.run(layout.root, "dvc", "status", "--json"))
    assert changed == {"judge@1": [{"changed deps": {"data/code/judge.sha256": "modified"}}]}
    noted = "data/code/judge.sha256: this code changed since it ran"
    assert noted in installed.run(layout.root, "spa", "audit")
    ran = installed.run(layout.root, "dvc", "repro")
    assert [line for line in ran.splitlines() if line.startswith("Running")] == [
        "Running stage 'judge@1':"
    ]


def _make_tiny(layout: Layout) -> None:
    """One round and short answers; a random model's answers are not held against it."""
    raw = yaml.safe_load(layout.params.read_text(encoding="utf-8"))
    del raw["rounds"]["2"]
    raw["generate"] |= {"max_new_tokens": 12, "samples": 2}
    raw["evaluate"]["max_new_tokens"] = 12
    raw["filter"] |= {"max_flagged": 1.0, "min_kept": 1}
    raw["train"]["max_length"] = 256
    raw["rival"]["gammas"] = [2.0]
    layout.params.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    layout.compute.write_text("{device: cpu}\n", encoding="utf-8")
