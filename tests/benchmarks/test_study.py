"""Inference of the studies, by hand, and the studies' rubrics on answers made up for them."""

from pathlib import Path
from typing import Any

import controlled_preferences
import controlled_tables
import pytest
import study
import yaml

from spa.annotation.annotator import Answer
from spa.annotation.rubric_annotator import load_rubric
from spa.dag import read_stages
from spa.layout import Layout
from spa.params import Rubric
from spa.records import FinishReason, Message

ROOT = Path(__file__).parents[2]
QUESTION: list[Message] = [{"role": "user", "content": "Why does bread rise?"}]
PLAIN = "The yeast eats the sugar. It makes gas, and the gas lifts the dough."
HARD = (
    "Fermentation of available carbohydrates by microorganisms generates carbon dioxide, whose "
    "accumulation within the viscoelastic gluten network produces expansion."
)


def _score(rubric: str, text: str, finish: FinishReason = "stop") -> float:
    annotator = load_rubric(Rubric(file=f"benchmarks/rubrics/{rubric}.py", function="score"), ROOT)
    return annotator.rate([(QUESTION, Answer(text, finish))])[0]


def test_merging_changes_nested_keys_and_neither_argument() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert study.merged(base, {"a": {"b": 5}, "e": 6}) == {"a": {"b": 5, "c": 2}, "d": 3, "e": 6}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize("arm", sorted(controlled_preferences.ARMS))
def test_study_1_keeps_its_recipe_whatever_becomes_of_the_starters(arm: str) -> None:
    """What studies.md froze; an arm changes one thing of it."""
    starter = yaml.safe_load((ROOT / "presets" / "starter.yaml").read_text(encoding="utf-8"))
    params = controlled_preferences.settings(starter, "easy", arm, 101)
    assert (params["generate"]["temperature"], params["train"]["learning_rate"]) == (1.0, 6e-6)
    for name, factor in (("1", 0.5), ("2", 0.25)):
        train = params["rounds"][name]["train"]
        assert (train["learning_rate"], train["nll_weight"]) == (6e-6, 0.0)
        assert train["lambda"] == (0.0 if arm == "no_extrapolation" else factor)
    gammas = [8.0, 12.0, 16.0, 24.0] if arm == "far_rival" else [2.0, 4.0, 8.0]
    assert params["rival"]["gammas"] == gammas


def test_every_outcome_that_is_read_was_made_by_a_stage_that_was_run() -> None:
    """Or a row tells of what another pipeline left there."""
    stages = read_stages(Layout(ROOT))
    makers = {out: stage for stage in stages.values() for out in stage.outs}
    left, made = list(controlled_preferences.READ), set[str]()
    while left:
        stage = stages[left.pop()]
        made.update(stage.outs)
        left += [makers[dep].name for dep in stage.deps if dep in makers]
    for policy in controlled_preferences.POLICIES:
        assert f"data/evaluation/{policy}" in made, policy


@pytest.mark.parametrize(
    ("rubric", "arm", "action"),
    [
        ("easy", "spa", "stop"),
        ("easy", "shorter", "warn"),
        ("easy", "likelihood", "warn"),
        ("short", "spa", "warn"),
    ],
)
def test_the_gate_on_length_warns_where_length_is_what_is_chosen(
    rubric: str, arm: str, action: str
) -> None:
    starter = yaml.safe_load((ROOT / "presets" / "starter.yaml").read_text(encoding="utf-8"))
    gates = controlled_preferences.settings(starter, rubric, arm, 101)["filter"]["gates"]
    assert gates["chosen_longer"]["action"] == action


def test_holm_by_hand() -> None:
    found = study.holm({"a": 0.04, "b": 0.01, "c": 0.03})
    assert found == pytest.approx({"b": 0.03, "c": 0.06, "a": 0.06})
    assert study.holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a study's resamples: what is said here is far from any edge."""
    monkeypatch.setattr(study, "RESAMPLES", 1_000)


@pytest.mark.usefixtures("few_resamples")
def test_an_effect_that_seeds_disagree_on_has_a_wider_interval_than_one_they_share() -> None:
    shared, p_shared = study.over_seeds([[0.2, 0.4] * 50] * 3)
    split, p_split = study.over_seeds([[1.1, 1.3] * 50, [0.2, 0.4] * 50, [-0.7, -0.5] * 50])
    assert shared.mean == pytest.approx(split.mean) == pytest.approx(0.3)
    assert shared.low > 0.25
    assert split.low < 0 < split.high
    assert p_shared == pytest.approx(1e-3)
    assert p_split > 0.1


def _arm(arm: str, gain: float, spread: float = 0.02) -> dict[str, Any]:
    """One pipeline's row whose round 2 scores `gain` above round 0, give or take `spread`."""

    def policy(score: float) -> dict[str, object]:
        scores = [score + spread, score - spread] * 50
        found = {"prompts": list(range(100)), "scores": scores, "wins": scores}
        figures = dict.fromkeys(("gold_reward", "win_rate", "kl_to_base"), score)
        figures |= dict.fromkeys(("mean_tokens", "finished", "heldout_accuracy"), score)
        return {**figures, "test": found, "development": found}

    scores = {"base": 0.5, "0": 0.5, "1": 0.5, "2": 0.5 + gain, "rival": 0.5}
    policies = {name: policy(score) for name, score in scores.items()}
    return {"rubric": "easy", "seed": 1, "arm": arm, "policies": policies, "judged": {}}


def _table(*rows: dict[str, object]) -> str:
    return controlled_tables.tables(rows, ("easy",), ("spa", "random", "oracle", "inverted"))


@pytest.mark.usefixtures("few_resamples")
def test_the_gap_recovered_is_spas_share_of_the_oracles_gain() -> None:
    assert "Gap recovered: 0.60 of" in _table(_arm("spa", 0.12), _arm("oracle", 0.2))
    assert "Gap recovered: not told" in _table(_arm("spa", 0.12), _arm("oracle", 0.0))


@pytest.mark.usefixtures("few_resamples")
def test_random_labels_are_equivalent_only_within_the_margin() -> None:
    """Equal spread in both rounds: the paired gain is the same at every prompt."""
    assert "Random labels are equivalent" in _table(_arm("random", 0.02))
    assert "not shown to be equivalent" in _table(_arm("random", 0.04))
    assert "not shown to be equivalent" in _table(_arm("random", -0.04))


@pytest.mark.usefixtures("few_resamples")
def test_inverted_labels_are_said_to_fall_only_where_they_do() -> None:
    assert "Inverted labels fell" in _table(_arm("inverted", -0.05))
    assert "Inverted labels did not clearly fall" in _table(_arm("inverted", 0.05))


@pytest.mark.usefixtures("few_resamples")
def test_an_arm_stands_beside_the_seed_and_beside_spa_with_its_number_of_seeds() -> None:
    """Equal spread everywhere, so that every paired difference is the same at every prompt."""
    found = _table(_arm("spa", 0.12), _arm("oracle", 0.2))
    assert "| spa | 1 | +12.0 [12.0, 12.0] | +12.0 [12.0, 12.0] | 0.0020 | - |" in found
    assert (
        "| oracle | 1 | +20.0 [20.0, 20.0] | +20.0 [20.0, 20.0] | 0.0020 | +8.0 [8.0, 8.0] |"
        in found
    )


@pytest.mark.usefixtures("few_resamples")
def test_rounds_from_the_rival_are_told_beside_a_larger_amplification() -> None:
    """The rival's arm has no round 2; it is read by its amplified policy, against SPA's seed."""
    far = _arm("far_rival", 0.15)
    far["policies"] = {"rival": far["policies"]["2"]}
    rows = [_arm("spa", 0.12), _arm("from_rival", 0.2), far]
    found = controlled_tables.tables(rows, ("easy",), tuple(controlled_preferences.ARMS))
    assert "`from_rival`, round 2, minus `far_rival` | 1 | 100 | +5.0 [5.0, 5.0] |" in found
    assert "| far_rival | 1 | +15.0 [15.0, 15.0] |" in found
    assert "| far_rival | rival | 1 | 0.650 |" in found


def test_easy_reading_is_by_hand_the_automated_readability_index() -> None:
    """PLAIN: 54 letters in 14 words in 2 sentences; grade 0.24."""
    letters = sum(c.isalpha() for c in PLAIN)
    grade = 4.71 * letters / 14 + 0.5 * 14 / 2 - 21.43
    assert _score("easy", PLAIN) == pytest.approx((18 - max(grade, 0)) / 18)
    assert _score("easy", HARD) == 0.0
    assert _score("easy", PLAIN, "length") == _score("easy", PLAIN)


def test_short_and_long_want_the_opposite() -> None:
    more = f"{PLAIN} {HARD}"
    assert _score("short", PLAIN) == pytest.approx(1 - 14 / 64)
    assert _score("short", PLAIN, "length") == pytest.approx((1 - 14 / 64) / 2)
    assert _score("long", PLAIN) == pytest.approx(14 / 64)
    assert _score("short", more) < _score("short", PLAIN)
    assert _score("long", more) > _score("long", PLAIN)


@pytest.mark.parametrize("rubric", ["easy", "short", "long"])
@pytest.mark.parametrize("junk", ["👉🎉⚡", "Yes.", "no no no no no no no no", "1 2 3 4 5 6 = 21"])
def test_no_rubric_is_pleased_by_junk(rubric: str, junk: str) -> None:
    assert _score(rubric, junk) == 0.0


def test_a_paired_difference_is_second_minus_first() -> None:
    interval = study.paired_difference([0.0, 1.0, 0.0], [1.0, 2.0, 1.0], seed=1)
    assert (interval.mean, interval.low, interval.high) == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="longer"):
        study.paired_difference([1.0], [1.0, 2.0], seed=1)
