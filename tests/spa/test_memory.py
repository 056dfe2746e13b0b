"""Work that does not fit into memory is done in smaller pieces, with the same result."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from spa import logprobs
from spa.checkpoints import Checkpoints
from spa.encoding import TokenSequence
from spa.errors import ModelError
from spa.generation.engine import Request
from spa.generation.transformers_engine import TransformersEngine
from spa.logprobs import next_token_logprobs, score
from spa.margins import Margins
from spa.memory import exhausted, reduced, resumed, smaller
from spa.models import Policy
from spa.records import TrainingRow
from tests.spa.test_training import _train, _weights

SEQUENCES = [TokenSequence([5, 6, 7], [8 + n, 9, 10][: n % 3 + 1]) for n in range(9)]
REQUESTS = [Request([5, 6, 7 + n], n) for n in range(7)]


@pytest.fixture(autouse=True)
def _nothing_reduced() -> None:
    reduced.clear()


def run_out() -> None:
    """Ask torch for a petabyte, so that the error is the real one."""
    torch.empty(2**50, dtype=torch.uint8)


def _limit(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, most: int) -> None:
    """Let a function whose second argument is a list run out of memory beyond `most` items."""
    real = getattr(owner, name)

    def limited(first: Any, items: Sequence[Any], *more: Any) -> Any:
        if len(items) > most:
            run_out()
        return real(first, items, *more)

    monkeypatch.setattr(owner, name, limited)


def _engine(policy: Policy, batch: int) -> TransformersEngine:
    return TransformersEngine(policy, temperature=1.0, max_new_tokens=6, batch=batch)


def test_sampling_goes_on_with_smaller_batches(
    tiny: Policy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = _engine(tiny, 1).complete(REQUESTS)
    _limit(monkeypatch, TransformersEngine, "_complete_batch", 1)
    found = _engine(tiny, 7).complete(REQUESTS)
    assert [one.tokens for one in found] == [one.tokens for one in wanted]
    assert reduced == {"generate_batch": 1}
    said = capsys.readouterr().err
    assert "warning: out of memory with generate_batch 7; going on with 3" in said
    assert "warning: out of memory with generate_batch 3; going on with 1" in said


@pytest.mark.parametrize("most", [1, 2])
def test_reading_goes_on_with_smaller_batches(
    tiny: Policy, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    wanted = score(tiny.model, SEQUENCES, token_budget=5)
    prompts = [s.prompt for s in SEQUENCES]
    also = next_token_logprobs(tiny.model, prompts, [8, 9], token_budget=4)
    _limit(monkeypatch, logprobs, "_answer_logps", most)
    for ours, theirs in zip(score(tiny.model, SEQUENCES, token_budget=50), wanted, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    assert set(reduced) == {"score_tokens"}
    found = next_token_logprobs(tiny.model, prompts, [8, 9], token_budget=50)
    for row, other in zip(found, also, strict=True):
        assert row == pytest.approx(other, abs=1e-5)


def test_training_takes_the_step_again_with_fewer_pairs_at_once(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, log_one = _train(tiny_folder, micro_pairs=1)
    read: Callable[..., Any] = Margins.read
    calls = []

    def limited(self: Any, model: Any, pairs: Sequence[Any], *more: Any, **how: Any) -> Any:
        calls.append(len(pairs))
        found = read(self, model, pairs, *more, **how)
        if len(calls) == 2 or len(pairs) > 2:
            run_out()  # the second time with half of a step's gradient taken
        return found

    monkeypatch.setattr(Margins, "read", limited)
    found, log = _train(tiny_folder, micro_pairs=4)
    assert calls[:4] == [4, 2, 1, 1]
    assert torch.equal(_weights(found), _weights(one))
    assert log == log_one
    assert reduced == {"train_pairs": 1}


def test_moments_that_do_not_fit_are_made_again_with_fewer_pairs_at_once(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, log_one = _train(tiny_folder, micro_pairs=2)
    reduced.clear()
    make, made = torch.zeros_like, []

    def limited(like: torch.Tensor, **how: Any) -> torch.Tensor:
        made.append(how)
        if len([how for how in made if "memory_format" in how]) == 4:
            run_out()  # with the second weight's moments half made
        return make(like, **how)

    monkeypatch.setattr(torch, "zeros_like", limited)
    found, log = _train(tiny_folder, micro_pairs=4)
    assert reduced == {"train_pairs": 2}
    assert [row.step for row in log] == [row.step for row in log_one]
    assert torch.allclose(_weights(found), _weights(one), atol=1e-5)


def test_training_that_goes_on_begins_with_what_it_came_down_to(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(rows: Sequence[TrainingRow]) -> None:
        if rows[0].step == 2:
            raise KeyboardInterrupt

    read, sizes = Margins.read, []

    def limited(self: Any, model: Any, pairs: Sequence[Any], *more: Any, **how: Any) -> Any:
        sizes.append(len(pairs))
        if len(pairs) > 2:
            run_out()
        return read(self, model, pairs, *more, **how)

    def go_on(micro_pairs: int, **how: Any) -> None:
        sizes.clear()
        reduced.clear()
        checkpoints = Checkpoints(tmp_path, "this", seconds=0)
        _train(tiny_folder, micro_pairs=micro_pairs, checkpoints=checkpoints, **how)

    monkeypatch.setattr(Margins, "read", limited)
    with pytest.raises(KeyboardInterrupt):
        go_on(4, on_step=killed)
    assert sizes[:2] == [4, 2]
    go_on(4, on_step=lambda rows: None)
    assert set(sizes) == {2}
    assert reduced == {"train_pairs": 2}


def test_what_another_size_came_down_to_says_nothing() -> None:
    assert resumed((8, 2), 8, "train_pairs") == 2
    reduced.clear()
    assert [resumed(before, 6, "train_pairs") for before in (None, (6, 6), (8, 2))] == [6, 6, 6]
    assert reduced == {}


def test_what_cannot_be_halved_is_one_clear_line(
    tiny: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _limit(monkeypatch, TransformersEngine, "_complete_batch", 0)
    with pytest.raises(ModelError, match="out of memory with generate_batch down to 1, one at a"):
        _engine(tiny, 4).complete(REQUESTS)
    _limit(monkeypatch, logprobs, "_answer_logps", 0)
    with pytest.raises(ModelError, match="out of memory with score_tokens down to"):
        score(tiny.model, SEQUENCES, token_budget=50)


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="something else"):
        smaller(RuntimeError("something else"), 8, "generate_batch")


def test_memory_that_runs_out_elsewhere_is_one_clear_line() -> None:
    with pytest.raises(RuntimeError) as stop:
        run_out()
    told = exhausted(stop.value) or ""
    assert told.startswith("out of memory (")
    assert "wanted more memory" in told
    assert "\n" not in told
    assert (exhausted(MemoryError()) or "").startswith("out of memory; wanted more memory")
    assert exhausted(RuntimeError("something else")) is None
    assert exhausted(ValueError("out of memory.")) is None


def test_memory_that_runs_out_in_a_later_step_leaves_the_checkpoint_before_it(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step half done cannot be taken again; the training that goes on ends the same."""
    whole, log = _train(tiny_folder)
    step = torch.optim.AdamW.step
    steps: list[None] = []

    def limited(self: Any, *more: Any) -> Any:
        steps.append(None)
        if len(steps) == 3:
            run_out()
        return step(self, *more)

    monkeypatch.setattr(torch.optim.AdamW, "step", limited)
    with pytest.raises(RuntimeError) as stop:
        _train(tiny_folder, checkpoints=Checkpoints(tmp_path, "this", seconds=0))
    assert exhausted(stop.value)
    assert [folder.name for folder in tmp_path.iterdir()] == ["step-00000002"]
    found, rows = _train(tiny_folder, checkpoints=Checkpoints(tmp_path, "this", seconds=0))
    assert torch.equal(_weights(found), _weights(whole))
    assert rows == log


LIMITED = """
import resource, sys
from pathlib import Path
from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.logprobs import score
from spa.memory import reduced
from spa.models import load_policy

model = load_policy(Path(sys.argv[1]), Compute(device="cpu")).model
sequences = [TokenSequence([5, 6, 7], [8 + n, *range(9, 9 + 250)]) for n in range(40)]
wanted = score(model, sequences, token_budget=300)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 40 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
found = score(model, sequences, token_budget=10**6)
assert all(abs(sum(a) - sum(b)) < 1e-3 for a, b in zip(wanted, found, strict=True))
print(reduced["score_tokens"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_real_limit_is_worked_under_in_smaller_pieces(tiny_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tiny_folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warning: out of memory with score_tokens 1000000; going on with 500000" in done.stderr
    assert int(done.stdout) <= 500000
