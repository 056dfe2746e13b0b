"""Stage `judge`: every method and every reference says something of its own."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from spa.annotation.llm import LlmAnnotator
from spa.chunks import Chunks
from spa.compute import Compute
from spa.generation.responses import sample_responses
from spa.generation.transformers_engine import TransformersEngine
from spa.judging import contest_ratings
from spa.layout import Layout
from spa.models import Policy, load_policy
from spa.param_files import load_params
from spa.records import JudgedPair, Prompt, Response, Score
from spa.splits import flip_labels
from spa.tables import read_note, read_table, write_table
from stages import judge
from stages._context import Context
from stages.judge import read_by, reward
from tests.pipeline.tiny_params import write_pipeline
from tests.tiny import write_reward_model, write_tiny_model

CPU = Compute(device="cpu")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """A pipeline before `judge --round 2`: the base and two policies, each another model."""
    root = write_pipeline(tmp_path_factory.mktemp("judge"), tiny_folder, code=False)
    layout = Layout(root)
    for number, name in enumerate(("base", "0", "1")):
        write_tiny_model(layout.policy(name), seed=number)
    write_reward_model(root / "reward_model")
    return root


@pytest.fixture
def responses(tiny: Policy) -> list[Response]:
    prompts = [
        Prompt(prompt_id=f"q{n}", prompt=[{"role": "user", "content": f"Why does bread {n} rise?"}])
        for n in range(4)
    ]
    engine = TransformersEngine(tiny, temperature=1.0, max_new_tokens=12, batch=12)
    return sample_responses(
        engine, tiny.encoder, prompts, samples=3, seed=1, names=("test",), model="m"
    )


def _rewards(root: Path, responses: list[Response], round: int = 2, **judge: Any) -> list[float]:
    layout = Layout(root)
    params = load_params(layout.params).for_round(round)
    params = params.model_copy(update={"judge": params.judge.model_copy(update=judge)})
    here = Context(layout, params, CPU, Chunks(layout.cache), beta=0.1)
    policy, base = (read_by(here, name, responses) for name in (str(round - 1), "base"))
    return reward(here, round, responses, policy, base)


def test_the_reference_is_the_base_the_policy_before_or_nothing(
    pipeline: Path, responses: list[Response]
) -> None:
    layout = Layout(pipeline)
    here = Context(layout, load_params(layout.params), CPU, Chunks(layout.cache), beta=0.1)
    logps = {name: read_by(here, name, responses) for name in ("base", "0", "1")}
    for reference, name in (("base", "base"), ("previous", "0")):
        expected = [a - b for a, b in zip(logps["1"], logps[name], strict=True)]
        assert _rewards(pipeline, responses, reference=reference) == expected
    assert _rewards(pipeline, responses, reference="none") == logps["1"]


def test_before_the_first_rounds_policy_comes_the_base(
    pipeline: Path, responses: list[Response]
) -> None:
    base, previous = (
        _rewards(pipeline, responses, round=1, reference=name) for name in ("base", "previous")
    )
    assert base == previous


def test_every_method_has_its_own_opinion(pipeline: Path, responses: list[Response]) -> None:
    methods = ("implicit", "inverted", "likelihood", "random", "llm", "rubric")
    found = {name: _rewards(pipeline, responses, method=name) for name in methods}
    found["reward_model"] = _rewards(
        pipeline, responses, method="reward_model", model="reward_model"
    )
    assert len({tuple(rewards) for rewards in found.values()}) == 7
    assert found["inverted"] == [-r for r in found["implicit"]]
    for start in range(0, 12, 3):
        assert sum(found["llm"][start : start + 3]) == pytest.approx(0, abs=1e-6)


def test_a_language_model_that_judges_is_the_policy_that_answered(
    pipeline: Path, responses: list[Response]
) -> None:
    policy = load_policy(Layout(pipeline).policy("1"), CPU)
    expected = contest_ratings(responses, LlmAnnotator(policy, token_budget=512))
    assert _rewards(pipeline, responses, method="llm") == pytest.approx(expected, abs=1e-4)


def test_a_rubric_of_the_users_own_judges(
    pipeline: Path, responses: list[Response], tmp_path: Path
) -> None:
    root = tmp_path / "own"
    shutil.copytree(pipeline, root)
    (root / "mine.py").write_text("def score(question, answer, finish):\n    return len(answer)\n")
    text = (root / "params.yaml").read_text()
    text = text.replace("spa/annotation/rubric.py", "mine.py").replace("rubric_score", "score")
    (root / "params.yaml").write_text(text)
    found = _rewards(root, responses, method="rubric")
    assert found == [float(len(r.text)) for r in responses]


@pytest.fixture
def judged(
    pipeline: Path,
    responses: list[Response],
    database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., list[JudgedPair]]:
    """The pairs of a whole run of the stage, with some keys of its params changed."""
    root = tmp_path / "judged"
    shutil.copytree(pipeline, root)
    shutil.copy(database, root)
    layout = Layout(root)
    write_table(layout.responses(2), responses, Response)
    monkeypatch.chdir(root)
    asked = yaml.safe_load(layout.params.read_text())

    def run(own_beta: float | None = None, **changes: Any) -> list[JudgedPair]:
        params = copy.deepcopy(asked)
        params["judge"] |= changes
        if own_beta:
            params["rounds"]["2"].setdefault("train", {})["beta"] = own_beta
        layout.params.write_text(yaml.safe_dump(params, sort_keys=False))
        judge.main(2)
        return read_table(layout.pairs(2), JudgedPair)

    return run


def test_pairing_chooses_the_same_answers_and_rejects_others(
    judged: Callable[..., list[JudgedPair]],
) -> None:
    worst, drawn = judged(pairing="best_worst"), judged(pairing="best_random")
    assert [pair.chosen_id for pair in drawn] == [pair.chosen_id for pair in worst]
    assert [pair.rejected_id for pair in drawn] != [pair.rejected_id for pair in worst]
    pairs = list(zip(drawn, worst, strict=True))
    assert all(0 < drawn.margin <= worst.margin for drawn, worst in pairs)


def test_flipped_labels_turn_that_share_of_the_pairs_round(
    judged: Callable[..., list[JudgedPair]],
) -> None:
    straight, flipped = judged(), judged(flip_labels=0.5)
    turned = [
        (a.chosen_id, a.rejected_id) == (b.rejected_id, b.chosen_id)
        for a, b in zip(straight, flipped, strict=True)
    ]
    assert sum(turned) == len(straight) // 2 > 0
    for a, b, around in zip(straight, flipped, turned, strict=True):
        assert b.margin == (-a.margin if around else a.margin)
    seed = load_params(Path("params.yaml")).seed
    assert flipped == flip_labels(straight, 0.5, seed=seed, name="judge-2")  # as `audit` knows them


def test_probabilities_are_by_the_beta_of_all_rounds(
    judged: Callable[..., list[JudgedPair]],
) -> None:
    assert judged(own_beta=0.7) == judged()


@pytest.mark.parametrize(("share_of_band", "trusted"), [(0.4, True), (0.7, False)])
def test_a_sampler_is_trusted_within_half_of_what_a_tie_may_differ_by(
    judged: Callable[..., list[JudgedPair]],
    responses: list[Response],
    share_of_band: float,
    trusted: bool,
) -> None:
    """A margin is the difference of two rewards, each of which may be off by as much."""
    layout = Layout(Path.cwd())
    here = Context(layout, load_params(layout.params), CPU, Chunks(layout.cache), beta=0.1)
    logps = read_by(here, "1", responses)
    told = [logp + share_of_band * 0.1 for logp in logps]
    own = [replace(r, token_logprobs=[t]) for r, t in zip(responses, told, strict=True)]
    write_table(layout.responses(2), own, Response)
    judged(tie_band=0.1)
    found = [score.policy_logp for score in read_table(layout.scores(2), Score)]
    assert found == pytest.approx(told if trusted else logps, abs=1e-3)


def test_the_length_penalty_is_taken_off_the_rewards_and_stands_beside_them(
    judged: Callable[..., list[JudgedPair]], responses: list[Response]
) -> None:
    judged(length_penalty=0.02)
    file = Layout(Path.cwd()).scores(2)
    assert read_note(file, "length_penalty") == 0.02
    for score, response in zip(read_table(file, Score), responses, strict=True):
        implicit = score.policy_logp - score.base_logp
        assert score.reward == pytest.approx(implicit - 0.02 * len(response.text))
