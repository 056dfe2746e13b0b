"""The lists of code: what dvc.yaml depends on, and a refusal to run anything else."""

import hashlib
from pathlib import Path

import pytest
import yaml

from spa import code_lock
from spa.code_lock import SHIPPED, check_code, code_lists, stale_code, write_code
from spa.doctor.settings import check_code as doctor_check
from spa.errors import ArtefactError
from spa.layout import Layout
from stages._context import stage_context

ROOT = Path(__file__).parents[2]


def test_the_shipped_pipeline_is_the_repositorys() -> None:
    own = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert SHIPPED.read_text(encoding="utf-8") == own, "copy dvc.yaml (`make format` does)"


def test_a_list_has_every_file_that_the_stage_depends_on() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    lists = code_lists()
    assert list(lists) == list(stages)
    lines = [line.split("  ") for line in lists["base"].splitlines()]
    base = {file: digest for digest, file in lines}
    assert list(base) == ["spa/encoding.py", "spa/models.py", "spa/sources.py", "stages/base.py"]
    for file, digest in base.items():
        assert digest == hashlib.sha256((ROOT / file).read_bytes()).hexdigest()
    assert "  spa/page/page.css\n" in lists["report"]
    assert "__pycache__" not in "".join(lists.values())


def test_a_pipeline_that_names_its_code_needs_no_list(tmp_path: Path) -> None:
    assert stale_code(Layout(tmp_path)) == []
    check_code(Layout(tmp_path))


def test_writing_says_which_stages_changed_and_touches_no_other(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert write_code(layout) == list(code_lists())
    assert write_code(layout) == []
    layout.code_of("judge").write_text("")
    before = layout.code_of("train").stat().st_ino
    assert write_code(layout) == ["judge"]
    assert layout.code_of("train").stat().st_ino == before


def test_other_code_than_listed_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "dvc.yaml").write_text("{}")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    write_code(layout)
    monkeypatch.chdir(tmp_path)
    with stage_context():
        pass
    newer = {**code_lists(), "judge": "another\n"}
    monkeypatch.setattr(code_lock, "code_lists", lambda: newer)
    assert stale_code(layout) == ["judge"]
    with pytest.raises(ArtefactError, match=r"\(judge\).*run `spa lock`"), stage_context():
        pass
    with stage_context(tool=True):
        pass
    assert [finding.state for finding in doctor_check(layout)] == ["fault"]
    write_code(layout)
    check_code(layout)
