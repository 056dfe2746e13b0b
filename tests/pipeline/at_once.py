"""Run stages of a pipeline in one process, as importing takes longer than what they do.

    python -m tests.pipeline.at_once PIPELINE [STAGE ...]

`dvc commit --force` then makes the run DVC's own, as if `dvc repro` had run it.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from spa.layout import Layout
from stages._app import run
from tests.pipeline.chaos import ENVIRONMENT
from tests.pipeline.full_disk import in_order
from tests.pipeline.tiny_params import ROOT


def run_at_once(folder: Path, *stages: str) -> None:
    """Run stages of a pipeline, by default all, in one process beside this one."""
    command = [sys.executable, "-m", "tests.pipeline.at_once", str(folder), *stages]
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def main() -> None:
    """All stages, or those that are named, in the order that they depend on each other."""
    layout, wanted = Layout(Path(sys.argv[1]).resolve()), sys.argv[2:]
    os.chdir(layout.root)
    for stage in in_order(layout):
        if not wanted or stage.name in wanted:
            _run(stage.cmd)


def _run(command: str) -> None:
    try:
        run(shlex.split(command)[1:])
    except SystemExit as stop:
        if stop.code:
            raise


if __name__ == "__main__":
    main()
