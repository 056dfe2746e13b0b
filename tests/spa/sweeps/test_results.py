"""Mean and spread over seeds, by numbers worked by hand, out of real git refs."""

import json
import subprocess
from pathlib import Path

import pytest

from spa.errors import SpaError
from spa.layout import Layout
from spa.sweeps.results import Spread, gather, spreads, to_csv, to_table
from spa.sweeps.running import check_tree, experiments

GIT = ["git", "-c", "user.name=one", "-c", "user.email=one@example.org"]
WINS = {
    ("0.1", 1): (0.50, 0.60), ("0.1", 2): (0.54, 0.70), ("0.1", 3): (0.52, 0.62),
    ("0.2", 1): (0.50, 0.40),
}  # fmt: skip
"""Win rates of rounds 0 and 1 by beta and seed."""


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _write(layout: Layout, beta: str, seed: int, wins: tuple[float, float]) -> None:
    layout.params.write_text(f"seed: {seed}\ntrain: {{beta: {beta}, epochs: 1}}\n")
    rows = [
        {"round": "base", "win_rate": 0.5, "judge_accuracy": None},
        {"round": "0", "win_rate": wins[0], "judge_accuracy": None},
        {"round": "1", "win_rate": wins[1], "judge_accuracy": 0.75},
        {"round": "rival", "win_rate": 0.9, "judge_accuracy": None},
    ]
    layout.report.mkdir(parents=True, exist_ok=True)
    (layout.report / "summary.json").write_text(json.dumps({"rounds": rows}))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A pipeline below the top of a git repository, with experiments as DVC keeps them."""
    top = tmp_path_factory.mktemp("repository")
    layout = Layout(top / "mine")
    layout.root.mkdir()
    layout.dvc_yaml.write_text("stages: {}\n")
    _write(layout, "0.1", 1, (0.5, 0.5))
    _git(top, "init", "--quiet")
    _git(top, "add", "--all")
    _git(top, "commit", "--quiet", "--message", "start")
    base = _git(top, "rev-parse", "HEAD")
    for (beta, seed), wins in WINS.items():
        _write(layout, beta, seed, wins)
        _git(top, "commit", "--quiet", "--all", "--message", "experiment")
        _git(top, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/sweep-{beta}-{seed}", "HEAD")
        _git(top, "reset", "--quiet", "--hard", base)
    _git(top, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/by-hand", base)
    return layout


def test_experiments_of_sweeps_are_found_under_their_commit(layout: Layout) -> None:
    assert len(experiments(layout)) == 4
    with pytest.raises(SpaError, match="found no commit 'nowhere'"):
        experiments(layout, "nowhere")


def test_figures_have_mean_sd_ends_and_n(layout: Layout) -> None:
    """Gains 0.10, 0.16, 0.10: mean 0.12, sd sqrt((0.02^2 + 0.04^2 + 0.02^2) / 2) = 0.034641."""
    rows = {(r.setting, r.figure, r.round): r for r in spreads(gather(layout))}
    gain = rows["train.beta=0.1", "gain", "1"]
    assert gain.mean == pytest.approx(0.12)
    assert gain.sd == pytest.approx(0.034641, abs=1e-6)
    assert (gain.low, gain.high, gain.n) == pytest.approx((0.10, 0.16, 3))
    win = rows["train.beta=0.1", "win_rate", "0"]
    assert (win.mean, win.sd) == pytest.approx((0.52, 0.02))
    alone = rows["train.beta=0.2", "gain", "1"]
    assert alone.mean == pytest.approx(-0.1)
    assert (alone.sd, alone.n) == (None, 1)
    assert rows["train.beta=0.1", "judge_accuracy", "1"].sd == 0
    assert ("train.beta=0.1", "win_rate", "base") not in rows


def test_figures_stand_in_the_order_of_rounds_with_the_rival_behind(layout: Layout) -> None:
    first = [r for r in spreads(gather(layout)) if r.setting == "train.beta=0.1"]
    assert [(r.figure, r.round) for r in first] == [
        ("win_rate", "0"), ("win_rate", "1"), ("win_rate", "rival"), ("gain", "1"),
        ("judge_accuracy", "1"),
    ]  # fmt: skip


def test_table_and_csv_say_the_same() -> None:
    rows = [
        Spread("train.beta=0.1", "gain", "2", 0.12, 0.0346, 0.1, 0.16, 3),
        Spread("b", "win_rate", "0", 0.5, None, 0.5, 0.5, 1),
    ]
    assert to_table(rows).splitlines() == [
        "setting         figure    round   mean    sd    min    max  n",
        "train.beta=0.1  gain          2  12.0%  3.5%  10.0%  16.0%  3",
        "b               win rate      0  50.0%     -  50.0%  50.0%  1",
    ]
    assert to_csv(rows).splitlines() == [
        "setting,figure,round,mean,sd,low,high,n",
        "train.beta=0.1,gain,2,0.12,0.0346,0.1,0.16,3",
        "b,win_rate,0,0.5,,0.5,0.5,1",
    ]


def test_changes_that_are_in_no_commit_are_refused(layout: Layout, tmp_path: Path) -> None:
    check_tree(layout)
    before = layout.params.read_text()
    layout.params.write_text("seed: 9\n")
    with pytest.raises(SpaError, match=r"params\.yaml changed since the last commit"):
        check_tree(layout)
    layout.params.write_text(before)
    outside = Layout(tmp_path)
    outside.dvc_yaml.write_text("stages: {}\n")
    with pytest.raises(SpaError, match=r"dvc\.yaml is in no commit"):
        check_tree(outside)


def test_a_summary_of_a_newer_version_is_refused_by_its_experiment(layout: Layout) -> None:
    base = _git(layout.root, "rev-parse", "HEAD")
    newer = '{"schema_version": 9, "rounds": []}'
    (layout.report / "summary.json").write_text(newer)
    _git(layout.root, "commit", "--quiet", "--all", "--message", "newer")
    ref = f"refs/exps/{base[:2]}/{base[2:]}/sweep-newer"
    _git(layout.root, "update-ref", ref, "HEAD")
    _git(layout.root, "reset", "--quiet", "--hard", base)
    try:
        with pytest.raises(SpaError, match=r"sweep-newer: summary\.json: has schema_version 9, of"):
            gather(layout)
    finally:
        _git(layout.root, "update-ref", "-d", ref)
