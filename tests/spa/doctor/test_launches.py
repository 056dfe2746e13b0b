"""Trainings in several processes that could not begin."""

import sys
from typing import Any

import pytest

from spa.compute import Compute
from spa.doctor.launches import check_launch
from spa.layout import Layout
from spa.param_files import load_params
from tests.spa.doctor.examined import edit, faults_of


def test_what_can_be_started_has_no_fault(pipeline: Layout) -> None:
    command = f"{sys.executable} -m torch.distributed.run"
    here = {"processes": 2, "shard": True, "launcher": {"command": command}}
    for compute in (Compute(), Compute.model_validate(here)):
        assert check_launch(load_params(pipeline.params), compute) == []


def test_a_launcher_that_is_not_here(pipeline: Layout) -> None:
    compute = Compute.model_validate({"launcher": {"command": "no-such-srun --nodes 2"}})
    [text] = faults_of(check_launch(load_params(pipeline.params), compute))
    assert text.startswith("compute.yaml: launcher.command: found 'no-such-srun --nodes 2'")


@pytest.mark.parametrize("where", ["train", "round"])
def test_adapters_in_shards_and_more_processes_than_pairs(pipeline: Layout, where: str) -> None:
    def change(raw: dict[str, Any]) -> None:
        train = raw["train"] if where == "train" else raw["rounds"]["2"]["train"]
        train.update(lora={"rank": 2}, batch_size=3)

    params = edit(pipeline, change)
    shards, count = faults_of(check_launch(params, Compute(processes=4, shard=True)))
    assert "shard: found true with train.lora" in shards
    assert "processes: found 4 for training; wanted at most one for each of the 3 pairs" in count
