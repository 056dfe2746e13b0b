"""Training that was killed ends like training that was not, weight for weight."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from spa.checkpoints import Checkpoints
from spa.compute import Compute
from spa.errors import TrainingError
from spa.margins import Margins
from spa.models import Policy, load_policy
from spa.params import Train
from spa.records import TrainingRow
from spa.training import Trainer
from tests.spa.test_training import SETTINGS, _pairs, _weights

STEPS = 6


class Killed(BaseException):
    """What a test stops training with."""


def _kill_at(step: int) -> Callable[[Sequence[TrainingRow]], None]:
    def on_step(rows: Sequence[TrainingRow]) -> None:
        if rows[0].step == step:
            raise Killed

    return on_step


def _train(
    folder: Path,
    checkpoints: Path | None,
    on_step: Callable[[Sequence[TrainingRow]], None] = lambda rows: None,
    *,
    identity: str = "this",
    **changes: Any,
) -> tuple[Policy, list[TrainingRow]]:
    compute = Compute(device="cpu")
    policy = load_policy(folder, compute)
    trainer = Trainer(
        policy.model,
        Train(**{**SETTINGS, "lambda": 0.5, **changes}),
        seed=1,
        round=1,
        load_reference=lambda: load_policy(folder, compute).model,
        token_budget=256,
        checkpoints=Checkpoints(checkpoints, identity, seconds=0) if checkpoints else None,
    )
    return policy, trainer.train(_pairs(), on_step)


@pytest.fixture(scope="module")
def undisturbed(tiny_folder: Path) -> tuple[Policy, list[TrainingRow]]:
    return _train(tiny_folder, None)


@pytest.mark.parametrize("step", [0, 3, STEPS - 1])
def test_killed_at_any_step_it_ends_the_same(
    tmp_path: Path, tiny_folder: Path, undisturbed: tuple[Policy, list[TrainingRow]], step: int
) -> None:
    with pytest.raises(Killed):
        _train(tiny_folder, tmp_path, _kill_at(step))
    seen: list[TrainingRow] = []
    policy, log = _train(tiny_folder, tmp_path, seen.extend)
    assert log == seen == undisturbed[1]
    assert max(row.step for row in log) == STEPS - 1
    assert torch.equal(_weights(policy), _weights(undisturbed[0]))


def test_a_step_that_is_no_number_keeps_the_checkpoint_before_it(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, steps = Margins.read, len(_pairs()) // SETTINGS["batch_size"]
    calls: list[int] = []

    def poisoned(self: Margins, *step: Any, **how: Any) -> Any:
        margin, nll, extrapolated = read(self, *step, **how)
        calls.append(len(calls))
        bad = calls[-1] // SETTINGS["batch_size"] == steps
        return margin * (float("nan") if bad else 1.0), nll, extrapolated

    monkeypatch.setattr(Margins, "read", poisoned)
    with pytest.raises(TrainingError, match="loss of step 3 is not a finite number, at pairs"):
        _train(tiny_folder, tmp_path)
    assert _files(tmp_path) == ["step-00000003"]
    monkeypatch.undo()
    policy, log = _train(tiny_folder, tmp_path)
    assert max(row.step for row in log) == STEPS - 1
    assert torch.isfinite(_weights(policy)).all()


def test_a_gradient_that_is_no_number_stops_before_its_step(
    tmp_path: Path, tiny_folder: Path
) -> None:
    weights = []

    def poison(rows: Sequence[TrainingRow]) -> None:
        if rows[0].step == 1:
            weights.append(True)

    policy = load_policy(tiny_folder, Compute(device="cpu"))
    next(policy.model.parameters()).register_hook(lambda g: g * (torch.nan if weights else 1.0))
    trainer = Trainer(
        policy.model, Train(**SETTINGS), seed=1, round=1,
        load_reference=lambda: policy.model, token_budget=256,
    )  # fmt: skip
    with pytest.raises(TrainingError, match="gradient of step 2 is not a finite number, at pairs"):
        trainer.train(_pairs(), poison)
    assert torch.isfinite(_weights(policy)).all()


def test_the_threshold_that_is_restored_matters(
    undisturbed: tuple[Policy, list[TrainingRow]],
) -> None:
    assert any(row.threshold is not None for row in undisturbed[1])


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_the_newest_checkpoint_is_kept(tmp_path: Path, tiny_folder: Path) -> None:
    _train(tiny_folder, tmp_path)
    assert _files(tmp_path) == [f"step-{STEPS:08d}"]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("weights.safetensors", "flip"),
        ("optimizer.safetensors", "cut"),
        ("state.json", "gone"),
        ("hashes.json", "cut"),
        ("hashes.json", "{}"),
        ("hashes.json", "[1]"),
    ],
)
def test_a_damaged_checkpoint_is_not_used(
    tmp_path: Path,
    tiny_folder: Path,
    undisturbed: tuple[Policy, list[TrainingRow]],
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: str,
) -> None:
    with pytest.raises(Killed):
        _train(tiny_folder, tmp_path, _kill_at(3))
    file = tmp_path / "step-00000003" / name
    whole = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif name == "hashes.json" and damage != "cut":
        file.write_text(damage)
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        file.write_bytes(whole[:middle] if damage == "cut" else flipped)
    policy, log = _train(tiny_folder, tmp_path)
    assert "is damaged" in capsys.readouterr().err
    assert log == undisturbed[1]
    assert torch.equal(_weights(policy), _weights(undisturbed[0]))


def test_a_checkpoint_of_another_training_is_not_used(
    tmp_path: Path, tiny_folder: Path, undisturbed: tuple[Policy, list[TrainingRow]]
) -> None:
    with pytest.raises(Killed):
        _train(tiny_folder, tmp_path, _kill_at(3), identity="other", beta=0.7)
    policy, _ = _train(tiny_folder, tmp_path)
    assert torch.equal(_weights(policy), _weights(undisturbed[0]))


def test_checkpoints_wait_for_their_time(tmp_path: Path) -> None:
    assert not Checkpoints(tmp_path, "this", seconds=60).due()
    assert Checkpoints(tmp_path, "this", seconds=0).due()
