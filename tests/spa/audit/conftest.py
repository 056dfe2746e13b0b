"""A recorded pipeline, and copies to tamper with."""

import shutil
from pathlib import Path

import pytest
from recorded_pipeline import write_recorded

from spa.layout import Layout


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return write_recorded(tmp_path_factory.mktemp("recorded") / "run", prompts=12)


@pytest.fixture
def run(whole: Layout, tmp_path: Path) -> Layout:
    return Layout(Path(shutil.copytree(whole.root, tmp_path / "run")))


@pytest.fixture
def rows(whole: Layout, tmp_path: Path) -> Layout:
    """The files alone, for what needs no record of them."""
    skip = shutil.ignore_patterns("spa", "stages")
    return Layout(Path(shutil.copytree(whole.root, tmp_path / "rows", ignore=skip)))
