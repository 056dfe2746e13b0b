"""The whole DAG on a tiny model, run by DVC as users run it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mlflow import MlflowClient
from safetensors.torch import load_file

from spa.files import hash_folder
from spa.layout import Layout
from spa.manifest import root_hash
from spa.models import model_hash
from spa.records import JudgedPair, Pair, Prompt, Response, Score, TrainingRow
from spa.tables import read_table
from spa.tracking.registry import CHAMPION, REGISTERED
from spa.tracking.server import tracking_uri
from tests.pipeline.in_process import run_stages
from tests.pipeline.tiny_params import write_pipeline

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"},
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
}


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _repro(folder: Path, *arguments: str) -> str:
    return _run(folder, "dvc", "repro", *arguments)


def _ran(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Layout:
    folder = write_pipeline(tmp_path_factory.mktemp("pipeline"), tiny_folder)
    _repro(folder)
    return Layout(folder)


def test_every_promised_file_is_there(done: Layout) -> None:
    for round in ("1", "2"):
        for path in (
            done.responses(round), done.scores(round), done.pairs(round), done.kept(round),
            done.flagged(round), done.checks(round), done.training_log(round),
            done.policy(round) / "model.safetensors", done.calibration(round) / "metrics.json",
        ):  # fmt: skip
            assert path.exists()
    for name in ("base", "0", "1", "2", "rival"):
        for file in ("outputs.json", "annotations.json", "metrics.json"):
            assert (done.evaluation(name) / file).exists()
    summary = json.loads((done.report / "summary.json").read_text())
    assert [row["round"] for row in summary["rounds"]] == ["base", "0", "1", "2", "rival"]
    assert summary["rounds"][0]["win_rate"] == 0.5
    assert summary["recommended_round"] in ("0", "1", "2")
    assert summary["panel"]["first"] == "rubric"
    assert set(summary["panel"]["null_win_rate"]) == {"rubric"}
    assert list(summary["health"]) == ["0", "1", "2"]
    page = (done.report / "index.html").read_text(encoding="utf-8")
    for number in (1, 2):
        pairs = sorted(pair.pair_id for pair in read_table(done.kept(number), JudgedPair))
        assert all(f"spa lineage {name}" in page for name in pairs[:4])


def test_pools_share_no_prompt_and_rounds_answer_their_own(done: Layout) -> None:
    pools: list[set[str]] = [
        {row.prompt_id for row in read_table(done.pool(name), Pair)} for name in ("seed", "gold")
    ]
    pools += [
        {row.prompt_id for row in read_table(done.pool(name), Prompt)}
        for name in ("development", "test", "1", "2")
    ]
    assert len(set.union(*pools)) == sum(map(len, pools))
    for round in (1, 2):
        answered = {row.prompt_id for row in read_table(done.responses(round), Response)}
        assert answered == {row.prompt_id for row in read_table(done.pool(round), Prompt)}


def test_pairs_follow_from_the_scores(done: Layout) -> None:
    scores = {s.response_id: s for s in read_table(done.scores(1), Score)}
    for pair in read_table(done.pairs(1), JudgedPair):
        chosen, rejected = scores[pair.chosen_id], scores[pair.rejected_id]
        assert chosen.reward == pytest.approx(chosen.policy_logp - chosen.base_logp)
        assert pair.margin == pytest.approx(chosen.reward - rejected.reward)
        assert pair.margin > 0


def test_training_starts_at_margin_zero_as_its_reference_is_the_policy_before(done: Layout) -> None:
    for round in (0, 1, 2):
        first = [r for r in read_table(done.training_log(round), TrainingRow) if r.step == 0]
        assert [row.margin for row in first] == pytest.approx([0] * len(first), abs=1e-3)


def test_the_rivals_policy_lies_on_the_line_from_base_to_seed(done: Layout) -> None:
    base, seed, rival = (
        load_file(done.policy(name) / "model.safetensors") for name in ("base", "0", "rival")
    )
    for name, weight in rival.items():
        torch.testing.assert_close(weight, base[name] + 2.0 * (seed[name] - base[name]))


def test_every_round_is_a_registered_version_and_the_recommended_one_champion(done: Layout) -> None:
    client = MlflowClient(tracking_uri(done))
    versions = client.search_model_versions(f"name = '{REGISTERED}'")
    assert sorted(version.tags["spa.round"] for version in versions) == ["0", "1", "2"]
    summary = json.loads((done.report / "summary.json").read_text())
    champion = client.get_model_version_by_alias(REGISTERED, CHAMPION)
    assert champion.tags["spa.round"] == summary["recommended_round"]


def test_nothing_is_done_twice_and_stages_by_hand_leave_it_so(done: Layout) -> None:
    assert _ran(_repro(done.root)) == []
    for command in (("judge", "--round", "2"), ("filter", "--round", "1"), ("split",)):
        _run(done.root, "spa", *command)
    assert "up to date" in _run(done.root, "dvc", "status")


def test_a_finished_pipeline_is_as_it_was_made(done: Layout) -> None:
    told = json.loads(_run(done.root, "spa", "audit", "--json"))
    assert told["faults"] == told["notes"] == []
    assert told["root_hash"] == root_hash(done)


@pytest.fixture
def changed(done: Layout, request: pytest.FixtureRequest) -> Iterator[Layout]:
    """The pipeline with params.yaml changed by the test's parameter, put back afterwards."""
    before = done.params.read_text()
    params = yaml.safe_load(before)
    request.param(params)
    done.params.write_text(yaml.safe_dump(params, sort_keys=False))
    yield done
    done.params.write_text(before)


def _third_round(params: dict[str, Any]) -> None:
    params["rounds"]["3"] = {**params["rounds"]["2"], "prev": "2"}


def _other_beta_in_round_2(params: dict[str, Any]) -> None:
    params["rounds"]["2"]["train"].update(beta=0.3)


def _start_from_the_rival(params: dict[str, Any]) -> None:
    params["rounds"]["1"]["prev"] = "rival"


def _stale(layout: Layout) -> set[str]:
    return set(json.loads(_run(layout.root, "dvc", "status", "--json")))


@pytest.mark.parametrize("changed", [_third_round], indirect=True)
def test_one_more_round_is_one_line(changed: Layout) -> None:
    new = {f"{s}@3" for s in ("generate", "judge", "filter", "train", "evaluate", "calibrate")}
    assert _stale(changed) == {"split", "report", *new}
    # Without --force DVC wants to hash inputs that no stage has made yet.
    assert new < set(_ran(_repro(changed.root, "--dry", "--force")))


@pytest.mark.parametrize("changed", [_other_beta_in_round_2], indirect=True)
def test_a_change_in_one_round_reruns_from_that_round_on(changed: Layout) -> None:
    assert _stale(changed) == {"split", "train@2", "report"}


def test_a_second_clean_run_gives_the_same_bytes(
    done: Layout, tmp_path: Path, tiny_folder: Path
) -> None:
    """Also when the stages run one after the other in one process, without DVC."""
    again = Layout(write_pipeline(tmp_path / "again", tiny_folder))
    run_stages(again, until="train@2")
    for name in ("base", "0", "1", "2"):
        assert hash_folder(again.round(name)) == hash_folder(done.round(name))


@pytest.mark.parametrize("changed", [_start_from_the_rival], indirect=True)
def test_rounds_may_start_from_the_rival(changed: Layout) -> None:
    """The last test, as it leaves round 1 changed."""
    _repro(changed.root, "judge@1", "train@1")
    sampled = {r.model for r in read_table(changed.responses(1), Response)}
    assert sampled == {model_hash(changed.policy("rival"))}
    first = [r for r in read_table(changed.training_log(1), TrainingRow) if r.step == 0]
    assert [row.margin for row in first] == pytest.approx([0] * len(first), abs=1e-3)
