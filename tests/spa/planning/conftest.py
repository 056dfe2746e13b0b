"""The tiny pipeline and its plan, for all tests of planning."""

from pathlib import Path

import pytest

from spa.compute import Compute
from spa.layout import Layout
from spa.param_files import load_params
from spa.planning import plan_pipeline
from spa.planning.figures import StagePlan
from tests.pipeline.tiny_params import write_pipeline

CPU = Compute(device="cpu")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Layout:
    return Layout(write_pipeline(tmp_path_factory.mktemp("plan") / "tiny", tiny_folder, code=False))


@pytest.fixture(scope="module")
def plan(pipeline: Layout) -> dict[str, StagePlan]:
    found = plan_pipeline(pipeline, load_params(pipeline.params), CPU, probe=False)
    return {stage.name: stage for stage in found.stages}
