"""Two processes over gloo train as one does: same losses, same thresholds, same weights."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from spa.chunks import Chunks
from spa.compute import Compute
from spa.files import read_json, read_table
from spa.generation.spread_engine import SpreadEngine
from spa.generation.transformers_engine import TransformersEngine
from spa.layout import Layout
from spa.models import Policy, load_policy
from spa.records import Response, Score, TrainingRow
from spa.scoring import Reader, answer_logps
from stages import base, split
from tests.pipeline.in_process import call, run_stages
from tests.pipeline.tiny_params import write_pipeline
from tests.spa.generation.questions import make_requests
from tests.spa.test_training import _train, _weights
from tests.spa.token_sequences import answers_to_one, sequences

ROOT = Path(__file__).parents[2]
CHANGES: dict[str, Any] = {"lambda": 0.5, "alpha": 0.3, "batch_size": 5, "epochs": 3}
SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
from tests.pipeline.test_two_processes import CHANGES
from tests.spa.generation.questions import make_requests
from tests.spa.token_sequences import answers_to_one, sequences
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


@pytest.fixture
def pipeline(
    tmp_path: Path, tiny_folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> Layout:
    """Before `spa train --round 0`."""
    layout = Layout(write_pipeline(tmp_path / "pipeline", tiny_folder))
    shutil.copy(database, layout.root)
    monkeypatch.chdir(layout.root)
    base.main()
    split.main()
    return layout


def _spa_train(layout: Layout, processes: int, **environment: str) -> tuple[int, str]:
    (layout.root / "compute.yaml").write_text(f"{{device: cpu, processes: {processes}}}\n")
    done = subprocess.run(
        [sys.executable, "-m", "stages._app", "train", "--round", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        cwd=layout.root, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.slow
def test_spa_train_starts_its_processes_itself(pipeline: Layout) -> None:
    logs, weights = [], []
    for processes in (1, 2):
        code, error = _spa_train(pipeline, processes)
        assert code == 0, error
        logs.append(read_table(pipeline.training_log(0), TrainingRow))
        weights.append(_weights(load_policy(pipeline.policy(0), Compute(device="cpu"))))
    assert [row.pair_id for row in logs[0]] == [row.pair_id for row in logs[1]]
    for one, two in zip(*logs, strict=True):
        assert two.loss == pytest.approx(one.loss, abs=1e-4)
    torch.testing.assert_close(*weights, atol=1e-4, rtol=1e-3)
    assert not pipeline.unfinished("train", 0).exists()


@pytest.mark.slow
def test_two_processes_read_and_sample_as_one_and_keep_what_they_did(
    tiny: Policy, tiny_folder: Path, tmp_path: Path
) -> None:
    chunks, two_at_once = Chunks(tmp_path / "chunks"), Compute(device="cpu", processes=2)
    asked = [*answers_to_one(3), *sequences(6), *answers_to_one(2)]
    one = answer_logps(tiny, asked, token_budget=256)
    two = Reader(tiny_folder, two_at_once, chunks).sequences(asked)
    assert two == pytest.approx(one, abs=1e-4)
    kept = len(list(chunks.folder.iterdir()))
    assert kept >= 2
    requests = make_requests(tiny)
    alone = TransformersEngine(tiny, temperature=1.0, max_new_tokens=12, batch=64)
    spread = SpreadEngine(tiny_folder, 1.0, 12, two_at_once, chunks)
    answers = spread.complete(requests)
    assert [a.tokens for a in answers] == [a.tokens for a in alone.complete(requests)]
    assert len(list(chunks.folder.iterdir())) >= kept + 2


@pytest.mark.slow
def test_stages_sample_and_read_in_two_processes_as_in_one(pipeline: Layout) -> None:
    stages = ("spa evaluate --base", "spa generate --round 1", "spa judge --round 1")
    answers, rewards, evaluated = [], [], []
    run_stages(pipeline, until="seed")
    for processes in (1, 2):
        (pipeline.root / "compute.yaml").write_text(f"{{device: cpu, processes: {processes}}}\n")
        for command in stages:
            assert call(pipeline, command) == 0
        responses = read_table(pipeline.responses(1), Response)
        answers.append([(r.prompt_id, r.sample, r.token_ids) for r in responses])
        rewards.append([score.reward for score in read_table(pipeline.scores(1), Score)])
        evaluated.append(read_json(pipeline.evaluation("base") / "gold_logps.json"))
    assert answers[0] == answers[1]
    assert rewards[0] == pytest.approx(rewards[1], abs=1e-3)
    for one, two in zip(*evaluated, strict=True):
        assert one == pytest.approx(two, abs=1e-3)


@pytest.mark.slow
def test_what_goes_wrong_in_processes_is_one_line(pipeline: Layout) -> None:
    code, error = _spa_train(pipeline, 2, WORLD_SIZE="1", RANK="0")
    assert (code, error.count("\n")) == (1, 1)
    assert error.startswith("error: train: started as 1 processes; wanted 2, as compute.yaml says")
    pipeline.pool("seed").unlink()
    code, error = _spa_train(pipeline, 2)
    assert code == 1
    assert [line for line in error.splitlines() if line.startswith("error: ")] == error.splitlines()
    assert "seed.parquet: not found" in error
