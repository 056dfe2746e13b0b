"""Which experiments a sweep has, and what it refuses."""

from typing import Any

import pytest
import yaml

from spa.errors import ParamsError
from spa.sweeps.cells import Cell, plan_cells, without_effect
from tests.pipeline.tiny_params import ROOT


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    """The starter's params: seed 1; rounds 1 and 2 with a lambda and learning rate of their own."""
    return dict(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")))


def _texts(cells: list[Cell]) -> list[str]:
    return [str(cell) for cell in cells]


def test_seeds_count_upwards_from_params_yaml(raw: dict[str, Any]) -> None:
    assert _texts(plan_cells(raw, 3, [], [])) == ["seed=1", "seed=2", "seed=3"]


def test_a_grid_is_every_combination_under_every_seed(raw: dict[str, Any]) -> None:
    grid = ["train.beta=0.05,0.1", "rounds.2.train.lambda=0.25,0.5"]
    texts = _texts(plan_cells(raw, 2, ["generate.samples=2"], grid))
    assert len(texts) == 8
    assert texts[0] == "generate.samples=2 train.beta=0.05 rounds.2.train.lambda=0.25 seed=1"
    assert texts[-1] == "generate.samples=2 train.beta=0.1 rounds.2.train.lambda=0.5 seed=2"


def test_commas_within_brackets_part_nothing(raw: dict[str, Any]) -> None:
    cells = plan_cells(raw, 1, [], ["rival.gammas=[2.0,4.0],[8.0]"])
    assert _texts(cells) == ["rival.gammas=[2.0,4.0] seed=1", "rival.gammas=[8.0] seed=1"]


def test_names_follow_from_the_changes_in_any_order() -> None:
    one, other = ("seed", "1"), ("train.beta", "0.1")
    assert Cell((one, other)).name == Cell((other, one)).name
    assert Cell((one,)).name != Cell((other,)).name


def test_dvc_is_told_which_keys_are_new(raw: dict[str, Any]) -> None:
    cell = Cell((("train.beta", "0.2"), ("rounds.1.train.beta", "0.3")))
    assert cell.overrides(raw) == ["train.beta=0.2", "+rounds.1.train.beta=0.3"]


def test_a_key_that_rounds_have_for_themselves_is_told(raw: dict[str, Any]) -> None:
    [note] = without_effect(raw, plan_cells(raw, 2, ["train.learning_rate=1.0e-6"], []))
    assert note == (
        "train.learning_rate has no effect in round 1, 2, which has its own: "
        "rounds.1.train.learning_rate"
    )
    assert list(without_effect(raw, plan_cells(raw, 2, ["train.beta=0.2"], []))) == []


@pytest.mark.parametrize(
    ("fixed", "grid", "said"),
    [
        (["train.beta"], [], "found 'train.beta'; wanted KEY=VALUE"),
        (["train.beta=0.1"], ["train.beta=0.2,0.3"], "train.beta: found more than once"),
        (["seed=4"], [], "seed: .*use --seeds"),
        (["train.beat=0.1"], [], "train.beat: unknown key"),
        ([], ["train.beta=0.1,much"], "train.beta=much .*train.beta: found 'much'"),
        (["train.beta=[0.1"], [], "train.beta: found .*wanted a YAML value"),
        (["seed.deep=1"], [], "seed in params.yaml has no keys"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_queued(
    raw: dict[str, Any], fixed: list[str], grid: list[str], said: str
) -> None:
    with pytest.raises(ParamsError, match=said):
        plan_cells(raw, 2, fixed, grid)
