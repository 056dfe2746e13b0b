"""The tutorial, run as it is written in a fresh clone, with the real model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


def _run(folder: Path, script: str) -> str:
    """Run a script in a folder, with the clone beside it as what is installed."""
    own = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    who = {f"GIT_{w}_{k}": "a@b.c" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
    places = [str(Path(sys.executable).parent), own["PATH"]]
    made = {"PATH": os.pathsep.join(places), "PYTHONPATH": str(folder.parent / "clone")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env={**own, **who, **made},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _ran(output: str) -> list[str]:
    return re.findall(r"Running stage '(.+)'", output)


def test_the_tutorial_begins_with_the_installation() -> None:
    assert BLOCKS[0] == "make install\nsource .venv/bin/activate\n"


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "clone")], check=True)
    second = next(place for place, block in enumerate(BLOCKS) if block.startswith("echo"))
    first = _run(tmp_path / "clone", "".join(BLOCKS[1:second]))
    assert "usable pairs       274" in first
    assert "split.seed_pairs 20, split.gold 16, split.test 20, split.development 5" in first
    assert "doctor: no faults" in first
    plan = {line.split()[0]: line.split() for line in first.splitlines() if " GB" in line}
    assert (plan["seed"][1], plan["train@1"][1]) == ("5", "4")
    assert plan["all"][-3:-1] == ["5.38", "GB"]
    assert len(_ran(first)) == 13
    mine = tmp_path / "mine"
    rest = _run(mine, "".join(BLOCKS[second:]))
    stages = ("generate", "judge", "filter", "train", "evaluate", "calibrate")
    assert set(_ran(rest)) == {"split", "report", *(f"{stage}@2" for stage in stages)}
    summary = json.loads((mine / "data" / "report" / "summary.json").read_text())
    assert [row["round"] for row in summary["rounds"]] == ["base", "0", "1", "2", "rival"]
    assert (mine / "data" / "export" / "round-2" / "model" / "model.safetensors").exists()
    assert _run(mine, "git status --porcelain") == ""
    assert "up to date" in _run(mine, "dvc status")
