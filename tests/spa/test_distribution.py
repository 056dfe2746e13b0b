"""How pairs are shared out between processes that train."""

import pytest
import torch
from accelerate import Accelerator

from spa.distribution import Distribution

PAIRS = list("abcdefg")


def _place(
    monkeypatch: pytest.MonkeyPatch, index: int, count: int, *, sharded: bool
) -> Distribution:
    monkeypatch.setattr(Accelerator, "num_processes", count)
    monkeypatch.setattr(Accelerator, "process_index", index)
    return Distribution(torch.device("cpu"), bfloat16=False, sharded=sharded)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_every_pair_counts_once(
    monkeypatch: pytest.MonkeyPatch, count: int, most: int, sharded: bool
) -> None:
    counted, lengths = [], set()
    for index in range(count):
        passes = _place(monkeypatch, index, count, sharded=sharded).passes(PAIRS, most)
        counted += [pair for part, counts in passes if counts for pair in part]
        assert all(1 <= len(part) <= most for part, _ in passes)
        lengths.add(len(passes))
    assert sorted(counted) == PAIRS
    assert not sharded or len(lengths) == 1


def test_a_process_with_fewer_pairs_repeats_a_pass_that_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = _place(monkeypatch, 1, 2, sharded=True).passes(PAIRS, 1)
    assert [(list(part), counts) for part, counts in second] == [
        (["b"], True), (["d"], True), (["f"], True), (["f"], False),
    ]  # fmt: skip
    assert len(_place(monkeypatch, 1, 2, sharded=False).passes(PAIRS, 1)) == 3


def test_one_process_is_the_first_and_has_all() -> None:
    alone = Distribution(torch.device("cpu"), bfloat16=False, sharded=False)
    assert (alone.count, alone.first, alone.own(PAIRS)) == (1, True, PAIRS)
    assert alone.gather(PAIRS) == PAIRS
    assert alone.saves(True)
    assert not alone.saves(False)
