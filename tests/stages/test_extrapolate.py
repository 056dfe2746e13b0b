"""Stage `rival`: development prompts choose gamma, test prompts say what it is worth."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from spa.compute import Compute
from spa.files import read_json
from spa.layout import Layout
from spa.models import load_policy
from spa.scoring import response_logps
from stages import base, evaluate, extrapolate, split
from stages._context import stage_context
from stages._evaluating import sample_policy
from tests.pipeline.tiny_params import write_pipeline

CPU = Compute(device="cpu")


@pytest.fixture
def layout(
    tmp_path: Path,
    tiny_folder: Path,
    other_folder: Path,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Layout:
    """A pipeline whose base is evaluated, and whose seed policy is another model."""
    root = write_pipeline(
        tmp_path / "pipeline", tiny_folder, code=False, rival={"gammas": [1.5, 0.5, 1.0]}
    )
    shutil.copy(database, root)
    monkeypatch.chdir(root)
    base.main()
    split.main()
    evaluate.main(None, base=True)
    found = Layout(root)
    shutil.copytree(other_folder, found.policy(0))
    return found


def test_the_smallest_of_the_best_gammas_is_written_and_evaluated(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = iter([0.4, 0.7, 0.7])
    monkeypatch.setattr(extrapolate, "development_win_rate", lambda here, outputs: next(rates))
    extrapolate.main()
    metrics = json.loads((layout.evaluation("rival") / "metrics.json").read_text())
    assert metrics["gamma"] == 1.0
    tried = [(one["gamma"], one["development_win_rate"]) for one in metrics["tried"]]
    assert tried == [(0.5, 0.4), (1.0, 0.7), (1.5, 0.7)]
    with stage_context() as here:
        tested = sample_policy(here, layout.policy("rival"))["test"]
    rival, first = (
        response_logps(load_policy(layout.policy(name), CPU), tested, token_budget=512)
        for name in ("rival", "base")
    )
    drift = sum(a - b for a, b in zip(rival, first, strict=True)) / len(tested)
    assert metrics["kl_to_base"] == pytest.approx(drift, abs=1e-3)


def test_the_rival_lies_beyond_the_seed_on_the_line_from_the_base(layout: Layout) -> None:
    with stage_context() as here:
        extrapolate.save_amplified(here, 1.5)
    start, seed, rival = (
        load_file(layout.policy(name) / "model.safetensors") for name in ("base", "0", "rival")
    )
    for name, weight in rival.items():
        torch.testing.assert_close(weight, start[name] + 1.5 * (seed[name] - start[name]))


def test_a_gamma_is_judged_by_the_development_prompts(layout: Layout) -> None:
    """The base's own answers to them are as good as the base's."""
    outputs = read_json(layout.evaluation("base") / "outputs.json")
    own = [row for row in outputs if row["dataset"] == "development"]
    with stage_context() as here:
        assert extrapolate.development_win_rate(here, own) == 0.5
