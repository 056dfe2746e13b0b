"""The work of every stage, counted by hand."""

from spa.dag import read_stages
from spa.layout import Layout
from spa.param_files import load_params
from spa.params import Params
from spa.planning.lengths import Lengths
from spa.planning.work import Tokens, Work, stage_work
from tests.spa.planning.changed_params import changed

LENGTHS = Lengths(prompt=10.0, labelled=20.0, sampled=8.0, evaluated=6.0)


def _works(pipeline: Layout, params: Params, *, float32: bool = True) -> dict[str, Work]:
    return {
        name: stage_work(stage, params, LENGTHS, float32=float32)
        for name, stage in read_stages(pipeline).items()
    }


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
    params = changed(pipeline, rounds={"1": {"prev": "0", "prompts": 8, "train": {"lambda": 0}}})
    assert _works(pipeline, params)["train@1"].read == Tokens()
    twice = _works(pipeline, params, float32=False)
    assert twice["train@1"].read == Tokens(8 * 2 * 18, 8 * 2 * 22)
    assert twice["judge@1"].read == Tokens(18 * 64, 22 * 64)


def test_judges_that_are_models_read_more(pipeline: Layout) -> None:
    plain = _works(pipeline, load_params(pipeline.params))
    llm = _works(pipeline, changed(pipeline, judge={"method": "llm"}))
    # 8 prompts, 6 contests each, both orders: prompt, two answers and about 60 of the question
    more = 8 * 6 * 2
    assert llm["judge@1"].read.expected - plain["judge@1"].read.expected == more * (10 + 16 + 60)
    rated = _works(pipeline, changed(pipeline, judge={"method": "reward_model", "model": "data"}))
    assert rated["judge@1"].read.expected - plain["judge@1"].read.expected == 32 * 18
    asked = changed(pipeline, evaluate={"annotator": "llm", "llm": "data/base/policy"})
    shown = _works(pipeline, asked)["evaluate@1"]
    more = 2 * 12 * (10 + 12 + 60)
    assert shown.read.expected - plain["evaluate@1"].read.expected == more
    assert shown.light.expected - plain["evaluate@1"].light.expected == more


def test_previous_as_reference_costs_one_more_pass_where_it_is_not_the_base(
    pipeline: Layout,
) -> None:
    works = _works(pipeline, changed(pipeline, judge={"reference": "previous"}))
    assert works["judge@2"].read.expected - works["judge@1"].read.expected == 32 * 18


def test_lengths_that_nobody_knows_are_as_long_as_they_may_be(pipeline: Layout) -> None:
    params, stages = load_params(pipeline.params), read_stages(pipeline)
    work = stage_work(stages["generate@1"], params, Lengths(), float32=True)
    assert work.sampled == Tokens(32 * 12, 32 * 12)
    assert work.read == Tokens(32 * 500, 32 * 500)  # max_length 512 less 12 of the answer
    assert stage_work(stages["seed"], params, Lengths(), float32=True).trained.most == 8 * 2 * 512


def test_an_aligned_model_in_the_seeds_place_trains_nothing(pipeline: Layout) -> None:
    params = changed(pipeline, split={"seed_pairs": 0}, base={"policy": "a/folder"})
    assert _works(pipeline, params)["seed"] == Work()
