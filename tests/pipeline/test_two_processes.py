"""Two processes over gloo train as one does: same losses, same thresholds, same weights."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.spa.test_training import _train, _weights

ROOT = Path(__file__).parents[2]
CHANGES: dict[str, Any] = {"lambda": 0.5, "alpha": 0.3, "batch_size": 5, "epochs": 3}
SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
from tests.pipeline.test_two_processes import CHANGES
from tests.spa.test_training import _train, _weights
torch.set_num_threads(1)
folder, out = map(Path, sys.argv[1:])
policy, log = _train(folder, micro_pairs=2, **CHANGES)
rank = os.environ["RANK"]
(out / f"{rank}.json").write_text(json.dumps([row.row() for row in log]))
torch.save(_weights(policy), out / f"{rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_train_as_one_does(tiny_folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run(
        [sys.executable, *command, str(script), str(tiny_folder), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, log = _train(tiny_folder, **CHANGES)
    assert any(row.refined for row in log)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert [row["pair_id"] for row in first] == [row.pair_id for row in log]
    for ours, theirs in zip(log, first, strict=True):
        assert theirs["loss"] == pytest.approx(ours.loss, abs=1e-4)
        assert theirs["threshold"] == pytest.approx(ours.threshold, abs=1e-4)
    weights = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert torch.equal(*weights)
    torch.testing.assert_close(weights[0], _weights(one), atol=1e-4, rtol=1e-3)
