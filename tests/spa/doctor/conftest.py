"""A pipeline that doctor looks at."""

from pathlib import Path

import pytest

from spa.layout import Layout
from tests.pipeline.tiny_params import write_pipeline


@pytest.fixture
def pipeline(tmp_path: Path, tiny_folder: Path) -> Layout:
    return Layout(write_pipeline(tmp_path / "tiny", tiny_folder))
