"""What every stage is held against before it begins."""

import os
import shutil
from pathlib import Path

import pytest

from spa.layout import Layout
from spa.manifest import write_manifest
from tests.pipeline.in_process import call
from tests.pipeline.tiny_params import write_pipeline

READERS = [
    ("base", "spa train --round 0"),
    ("base", "spa evaluate --base"),
    ("base", "spa evaluate --round 1"),
    ("0", "spa evaluate --round 0"),
    ("0", "spa extrapolate"),
    ("0", "spa generate --round 1"),
    ("0", "spa judge --round 1"),
    ("0", "spa train --round 1"),
    ("1", "spa evaluate --round 1"),
    ("1", "spa generate --round 2"),
]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Layout:
    """A pipeline of which only policies and their manifests are there."""
    layout = Layout(
        write_pipeline(tmp_path_factory.mktemp("context") / "run", tiny_folder, code=False)
    )
    for name, stage in (("base", "base"), ("0", "seed"), ("1", "train@1")):
        shutil.copytree(tiny_folder, layout.policy(name))
        write_manifest(layout, stage)
    return layout


@pytest.mark.parametrize(("name", "command"), READERS)
def test_a_flipped_bit_of_a_policy_that_time_and_size_do_not_show_stops_its_readers(
    layout: Layout, capsys: pytest.CaptureFixture[str], name: str, command: str
) -> None:
    file = layout.policy(name) / "model.safetensors"
    data, before = file.read_bytes(), file.stat()
    file.write_bytes(data[:-100] + bytes([data[-100] ^ 1]) + data[-99:])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    try:
        assert call(layout, command) == 1
    finally:
        file.write_bytes(data)
    told = capsys.readouterr().err
    assert told.startswith(f"error: {layout.show(file)}: found ")
    assert f"find .dvc/cache -samefile {layout.show(file)} -delete; rm" in told
    assert told.count("\n") == 1
