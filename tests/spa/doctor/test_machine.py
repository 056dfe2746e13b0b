"""Devices, versions, memory and disk that are not there."""

import pytest
from packaging.requirements import Requirement

from spa.compute import Compute
from spa.doctor.machine import check_device, check_room, check_versions, version_fault
from spa.doctor.settings import (
    check_compute,
)
from spa.layout import Layout
from spa.planning import PipelinePlan, StagePlan
from tests.spa.doctor.examined import faults_of


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{device: sofa}", "device: found 'sofa'"),
        ("{score_tokens: 0, colour: red}", "colour"),
        ("{device: 'cuda:77'}", "cuda:77"),
        ("{device: 'cuda:0', processes: 2}", "processes: found 2 with device: cuda:0"),
        ("{device: mps, processes: 2}", "processes: found 2 with device: mps"),
    ],
)
def test_faults_of_compute(pipeline: Layout, content: str, named: str) -> None:
    pipeline.compute.write_text(content)
    compute, findings = check_compute(pipeline)
    assert any(named in text for text in faults_of(findings + check_device(compute)))


def test_versions() -> None:
    assert faults_of(check_versions()) == []
    assert "found" in str(version_fault(Requirement("numpy<1")))
    assert "not installed" in str(version_fault(Requirement("no-such-library>=1")))


def test_too_little_memory_and_disk(pipeline: Layout) -> None:
    stage = StagePlan("train@1", True, memory=10**16, disk=10**18, scratch=0)
    faults = faults_of(check_room(pipeline, Compute(device="cpu"), PipelinePlan([stage], [])))
    assert len(faults) == 2
    assert "10000000.0 GB" in faults[0]
