"""Two processes over gloo train as one does: same losses, same thresholds, same weights."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from spa.checkpoints import Checkpoints
from spa.chunks import Chunks
from spa.compute import Compute
from spa.files import read_json
from spa.generation.spread_engine import SpreadEngine
from spa.generation.transformers_engine import TransformersEngine
from spa.layout import Layout
from spa.models import Policy, load_policy
from spa.records import Response, Score, TrainingRow
from spa.scoring import Reader, answer_logps
from spa.tables import read_table
from stages import base, split
from tests.pipeline.in_process import call, run_stages
from tests.pipeline.tiny_params import write_pipeline
from tests.spa.generation.questions import make_requests
from tests.spa.test_training import _train, _weights
from tests.spa.token_sequences import answers_to_one, sequences

ROOT = Path(__file__).parents[2]


class Killed(BaseException):
    """What a test stops training with."""


CHANGES: dict[str, Any] = {"lambda": 0.5, "alpha": 0.3, "batch_size": 5, "epochs": 3}
WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "shards without activations": {"sharded": True, "recompute": True},
}


def _in_two(folder: Path, out: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Train in two processes; see training_process.py."""
    out.mkdir(exist_ok=True)
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    script, asked = str(Path(__file__).with_name("training_process.py")), {**CHANGES, **options}
    return subprocess.run(
        [sys.executable, *command, script, str(folder), str(out), json.dumps(asked)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


def _same(ours: list[TrainingRow], theirs: list[dict[str, Any]]) -> None:
    """Same pairs in the same steps, with losses and thresholds that differ by rounding."""
    assert [row["pair_id"] for row in theirs] == [row.pair_id for row in ours]
    for own, other in zip(ours, theirs, strict=True):
        assert other["loss"] == pytest.approx(own.loss, abs=1e-4)
        assert other["threshold"] == pytest.approx(own.threshold, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_two_processes_train_as_one_does(tiny_folder: Path, tmp_path: Path, way: str) -> None:
    done = _in_two(tiny_folder, tmp_path, **WAYS[way])
    assert done.returncode == 0, done.stderr
    one, log = _train(tiny_folder, **CHANGES)
    assert any(row.refined for row in log)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["log"] == second["log"]
    _same(log, first["log"])
    numbers = _weights(one).numel()
    weights = [torch.load(file, weights_only=True) for file in sorted(tmp_path.glob("*.pt"))]
    if way == "whole":
        assert first["held"] == second["held"] == numbers
        assert torch.equal(*weights)
    else:
        assert first["held"] + second["held"] == numbers
        assert max(first["held"], second["held"]) < 0.6 * numbers
    torch.testing.assert_close(weights[0], _weights(one), atol=1e-4, rtol=1e-3)


@pytest.fixture
def new_state() -> Iterator[None]:
    """accelerate keeps the precision of a process's first training."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.slow
@pytest.mark.usefixtures("new_state")
def test_shards_in_bfloat16_start_at_margin_zero_too(tiny_folder: Path, tmp_path: Path) -> None:
    """References are read as training reads, or the first margins would be rounding's."""
    done = _in_two(tiny_folder, tmp_path, sharded=True, bfloat16=True)
    assert done.returncode == 0, done.stderr
    log = json.loads((tmp_path / "0.json").read_text())["log"]
    assert [row["margin"] for row in log if row["step"] == 0] == pytest.approx([0.0] * 5, abs=1e-6)
    _, one = _train(tiny_folder, bfloat16=True, **CHANGES)
    for own, other in zip(one, log, strict=True):
        assert other["loss"] == pytest.approx(own.loss, abs=0.03)


@pytest.mark.slow
def test_a_checkpoint_of_shards_goes_on_in_one_process(tiny_folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = _in_two(tiny_folder, tmp_path / "out", sharded=True, kept=str(kept), kill=3)
    assert done.returncode != 0
    assert [path.name for path in kept.iterdir()] == ["step-00000003"]
    undisturbed, log = _train(tiny_folder, **CHANGES)
    again = Checkpoints(kept, "this", seconds=0)
    policy, own = _train(tiny_folder, checkpoints=again, **CHANGES)
    _same(log, [row.row() for row in own])
    torch.testing.assert_close(_weights(policy), _weights(undisturbed), atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_a_checkpoint_of_one_process_goes_on_in_shards(tiny_folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    checkpoints = Checkpoints(kept, "this", seconds=0)

    def die(rows: Sequence[TrainingRow]) -> None:
        if rows[0].step == 3:
            raise Killed

    with pytest.raises(Killed):
        _train(tiny_folder, on_step=die, checkpoints=checkpoints, **CHANGES)
    before = checkpoints.newest()
    assert before is not None
    done = _in_two(tiny_folder, tmp_path, sharded=True, kept=str(kept))
    assert done.returncode == 0, done.stderr
    undisturbed, log = _train(tiny_folder, **CHANGES)
    first = json.loads((tmp_path / "0.json").read_text())
    _same(log, first["log"])
    assert first["log"][:15] == [row.row() for row in before.progress.log]
    weights = torch.load(tmp_path / "0.pt", weights_only=True)
    torch.testing.assert_close(weights, _weights(undisturbed), atol=1e-4, rtol=1e-3)


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


def _spa_train(layout: Layout, compute: dict[str, Any], **environment: str) -> tuple[int, str]:
    (layout.root / "compute.yaml").write_text(json.dumps({"device": "cpu", **compute}))
    done = subprocess.run(
        [sys.executable, "-m", "stages._app", "train", "--round", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        cwd=layout.root, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.slow
def test_spa_train_starts_its_processes_itself(pipeline: Layout) -> None:
    logs, weights, files = [], [], []
    two = f"{sys.executable} -m torch.distributed.run --standalone --nproc-per-node 2"
    machines = f"{sys.executable} {Path(__file__).with_name('two_machines.py')}"
    for compute in (
        {},
        {"processes": 2, "shard": True},
        {"launcher": {"command": two, "processes": 2}},
        {"launcher": {"command": machines, "processes": 2}},
    ):
        code, error = _spa_train(pipeline, compute)
        assert code == 0, error
        logs.append(read_table(pipeline.training_log(0), TrainingRow))
        weights.append(_weights(load_policy(pipeline.policy(0), Compute(device="cpu"))))
        files.append(load_file(pipeline.policy(0) / "model.safetensors"))
    for log, weight, file in zip(logs, weights, files, strict=True):
        _same(logs[0], [row.row() for row in log])
        torch.testing.assert_close(weight, weights[0], atol=1e-4, rtol=1e-3)
        assert {n: t.shape for n, t in file.items()} == {n: t.shape for n, t in files[0].items()}
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
    code, error = _spa_train(pipeline, {"processes": 2}, WORLD_SIZE="1", RANK="0")
    assert (code, error.count("\n")) == (1, 1)
    assert error.startswith("error: train: started as 1 processes; wanted 2, as compute.yaml says")
    pipeline.pool("seed").unlink()
    code, error = _spa_train(pipeline, {"processes": 2})
    assert code == 1
    assert [line for line in error.splitlines() if line.startswith("error: ")] == error.splitlines()
    assert "seed.parquet: not found" in error


@pytest.mark.slow
def test_a_launcher_that_starts_another_number_of_processes_is_refused(pipeline: Layout) -> None:
    """accelerate's starts one process on a CPU, whatever it is asked for, and says nothing."""
    one = f"{sys.executable} -m accelerate.commands.launch --cpu --num_processes 2"
    code, error = _spa_train(pipeline, {"processes": 2, "launcher": {"command": one}})
    assert code == 1
    said = [line for line in error.splitlines() if line.startswith("error: ")]
    assert said[0].startswith("error: train: started as 1 processes; wanted 2, as compute.yaml")
    assert said[1].endswith("ended with exit code 1; wanted 0; see what it said above")
    assert not pipeline.training_log(0).exists()
    code, error = _spa_train(pipeline, {"processes": 2, "launcher": {"command": "no-such"}})
    assert (code, error.count("\n")) == (1, 1)
    assert "launcher.command: found 'no-such', which does not start" in error
