"""A clock that goes back, as after a correction or in a resumed machine, changes no output."""

import itertools
import shutil
import time
from pathlib import Path

import pytest

from spa.files import hash_folder
from spa.layout import Layout
from stages import base, split, train
from tests.pipeline.tiny_params import write_pipeline


def _run(folder: Path, model: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    layout = Layout(write_pipeline(folder, model, code=False))
    shutil.copy(database, layout.root)
    (layout.root / "compute.yaml").write_text("{device: cpu, checkpoint_seconds: 0}\n")
    monkeypatch.chdir(layout.root)
    base.main()
    split.main()
    train.main(0)
    return layout


def test_a_clock_that_goes_back_changes_no_output(
    tmp_path: Path, tiny_folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = _run(tmp_path / "steady", tiny_folder, database, monkeypatch)
    hours = itertools.count(2_000_000_000, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(hours)))
    monkeypatch.setattr(time, "time_ns", lambda: next(hours) * 10**9)
    back = _run(tmp_path / "back", tiny_folder, database, monkeypatch)
    assert next(hours) < 2_000_000_000 - 3600
    for name in ("pools", "round-0"):
        assert hash_folder(back.data / name) == hash_folder(steady.data / name)
