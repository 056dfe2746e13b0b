"""Finished chunks are given back, others made; nothing damaged or foreign is taken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from spa.chunks import Chunks, T, surroundings
from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.generation.engine import Completion, Request
from spa.generation.transformers_engine import TransformersEngine
from spa.logprobs import score
from spa.models import Policy, load_policy


class Killed(BaseException):
    """What a test stops work with."""


def test_a_chunk_is_made_once_and_given_back_exactly(tmp_path: Path) -> None:
    made = []

    def make() -> list[float]:
        made.append(1)
        return [0.1, -1e-300, float(torch.tensor(0.1))]

    chunks = Chunks(tmp_path / "work", "code")
    first = chunks([1, 2], make)
    assert chunks([1, 2], make) == first == Chunks(tmp_path / "work", "code")([1, 2], make)
    assert len(made) == 1


@pytest.mark.parametrize("other", [("code", "model"), ("other code",)])
def test_what_follows_from_something_else_is_made_anew(
    tmp_path: Path, other: tuple[str, ...]
) -> None:
    assert Chunks(tmp_path, "code")("work", lambda: 1) == 1
    assert Chunks(tmp_path, *other)("work", lambda: 2) == 2
    assert Chunks(tmp_path, "code")("other work", lambda: 3) == 3
    assert Chunks(tmp_path, "code").under("model")("work", lambda: 4) in (2, 4)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_chunk_is_made_anew_with_a_word(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chunks = Chunks(tmp_path, "code")
    chunks("work", lambda: [1, 2, 3])
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[:-2], "flip": whole[:-2] + b"9]", "empty": b""}[damage])
    assert chunks("work", lambda: [1, 2, 3]) == [1, 2, 3]
    assert file.read_bytes() == whole
    assert "does not match its hash" in capsys.readouterr().err


def test_clearing_leaves_nothing(tmp_path: Path) -> None:
    chunks = Chunks(tmp_path / "work", "code")
    chunks("work", lambda: 1)
    chunks.clear()
    assert not (tmp_path / "work").exists()


def test_surroundings_name_code_and_libraries() -> None:
    code, *libraries = surroundings()
    assert len(code) == 16
    assert any(name.startswith("torch ") for name in libraries)


class _KilledAfter:
    """Chunks of a process that is killed when it is about to do its n-th piece of work."""

    def __init__(self, policy: Policy, count: int) -> None:
        self._keep, self._left = policy.keep, count

    def __call__(self, work: Any, make: Callable[[], T]) -> T:
        def counted() -> T:
            if self._left == 0:
                raise Killed
            self._left -= 1
            return make()

        return self._keep(work, counted)


def _policies(folder: Path, chunks: Chunks) -> tuple[Policy, Policy, Policy]:
    compute = Compute(device="cpu")
    killed = load_policy(folder, compute, chunks=chunks)
    killed = Policy(killed.model, killed.encoder, killed.stop_tokens, _KilledAfter(killed, 2))
    again = load_policy(folder, compute, chunks=chunks)
    again = Policy(again.model, again.encoder, again.stop_tokens, _KilledAfter(again, 1))
    return load_policy(folder, compute), killed, again


def test_sampling_goes_on_where_it_was_killed(tmp_path: Path, tiny_folder: Path) -> None:
    undisturbed, killed, again = _policies(tiny_folder, Chunks(tmp_path, "code"))
    requests = [Request([2 + i, 5, 9], seed=i) for i in range(12)]

    def complete(policy: Policy) -> list[Completion]:
        engine = TransformersEngine(policy, temperature=1.0, max_new_tokens=6, batch=4)
        return engine.complete(requests)

    with pytest.raises(Killed):
        complete(killed)
    assert complete(again) == complete(undisturbed)  # one batch of three was left to do


def test_reading_goes_on_where_it_was_killed(tmp_path: Path, tiny_folder: Path) -> None:
    undisturbed, killed, again = _policies(tiny_folder, Chunks(tmp_path, "code"))
    sequences = [TokenSequence([2, 3], [4 + i, 5, 6]) for i in range(9)]

    def read(policy: Policy) -> list[list[float]]:
        return score(policy.model, sequences, token_budget=15, keep=policy.keep)

    with pytest.raises(Killed):
        read(killed)
    assert read(again) == read(undisturbed)
