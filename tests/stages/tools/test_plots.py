"""`spa plots`: DVC's plots on a page that fetches nothing, and where no repository is, one line."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spa.errors import ArtefactError
from spa.layout import Layout
from stages.tools.plots import main

ROOT = Path(__file__).parents[3]
DVC = str(Path(sys.executable).parent / "dvc")
PIPELINE = """
plots:
- win_rate: {template: linear, x: step, y: {rounds.csv: [win_rate]}}
"""
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "rounds.csv").write_text("step,win_rate\n0,0.5\n1,0.7\n")
    monkeypatch.chdir(tmp_path)
    return Layout(tmp_path)


def test_plots_are_drawn_from_the_page_alone(pipeline: Layout, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    for name in ("config", ".gitignore"):
        (pipeline.root / ".dvc").mkdir(exist_ok=True)
        shutil.copy(ROOT / ".dvc" / name, pipeline.root / ".dvc" / name)
    main()
    subprocess.run([DVC, "plots", "show", "-q"], check=True)
    page = pipeline.root / "dvc_plots" / "index.html"
    html = page.read_text(encoding="utf-8")
    assert "<script src" not in html
    assert "win_rate</text>" not in html
    ignored = ["git", "status", "--porcelain", "-uall", "--", ".dvc/tmp", ".dvc/config.local"]
    assert subprocess.run(ignored, check=True, capture_output=True).stdout == b""
    if CHROMIUM is None:
        pytest.skip("the page was made; whether it draws needs Chromium")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'u'}")
    offline = "--host-resolver-rules=MAP * ~NOTFOUND"
    done = subprocess.run(
        [CHROMIUM, *options, offline, "--virtual-time-budget=5000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "win_rate</text>" in done.stdout  # an axis was drawn


def test_where_there_is_no_repository_it_says_so(pipeline: Layout) -> None:
    with pytest.raises(ArtefactError, match="found no DVC repository here or above"):
        main()
