"""params.yaml: all faults at once, and overrides of one round in that round only."""

from pathlib import Path
from typing import Any

import pytest

from spa.errors import ParamsError
from spa.param_files import check_params, load_params

ROOT = Path(__file__).parents[2]


def test_the_params_that_ship_are_valid_and_the_starter_preset_is_them() -> None:
    load_params(ROOT / "params.yaml")
    starter = (ROOT / "presets" / "starter.yaml").read_text(encoding="utf-8")
    assert starter == (ROOT / "params.yaml").read_text(encoding="utf-8")


def test_all_faults_are_named_at_once(raw: dict[str, Any]) -> None:
    raw["train"] |= {"alpha": 7, "betta": 1}
    raw["generate"]["temperature"] = -1
    raw["judge"]["method"] = "guess"
    raw["rounds"]["2"]["prev"] = "9"
    raw["rounds"]["1"]["train"] = {"lambda": -1}
    _, faults = check_params(raw)
    keys = [fault.split(":")[0] for fault in faults]
    assert sorted(keys) == [
        "generate.temperature",
        "judge.method",
        "rounds.1.train.lambda",
        "rounds.2.prev",
        "train.alpha",
        "train.betta",
    ]


def test_a_fault_of_the_section_is_a_rounds_too_only_where_the_round_repeats_it(
    raw: dict[str, Any],
) -> None:
    raw["train"]["alpha"] = 7
    raw["filter"] = {"checks": {"cut": {"action": "no"}}}
    raw["rounds"]["1"] |= {"train": {"beta": 0.5}, "filter": {"checks": {"tie": {}}}}
    raw["rounds"]["2"] |= {"train": {"alpha": 7}, "filter": {"checks": {"cut": {"action": "no"}}}}
    assert sorted(fault.split(": ")[0] for fault in check_params(raw)[1]) == [
        "filter.checks.cut.action",
        "rounds.1.filter.checks.tie.action",
        "rounds.2.filter.checks.cut.action",
        "rounds.2.train.alpha",
        "train.alpha",
    ]


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("train", "noise_window", 10**400, "wanted at most 2147483647"),
        ("split", "seed_pairs", 10**30, "wanted at most 2147483647"),
        ("train", "learning_rate", float("inf"), "a finite number"),
        ("train", "learning_rate", "1e400", "a finite number"),
        ("generate", "temperature", float("nan"), "a finite number"),
        ("rival", "gammas", [float("inf")], "a finite number"),
    ],
)
def test_numbers_that_nobody_means_are_refused(
    raw: dict[str, Any], section: str, key: str, value: object, said: str
) -> None:
    raw[section][key] = value
    (fault,) = check_params(raw)[1]
    assert fault.startswith(f"{section}.{key}")
    assert said in fault


def test_a_round_key_without_quotes_is_refused_as_dvc_would_drop_it(raw: dict[str, Any]) -> None:
    raw["rounds"][3] = {"prev": "2", "prompts": 8}
    assert check_params(raw)[1] == [
        'rounds.3: the key is a number; quote it ("3":), or DVC drops the round'
    ]


def test_a_noise_window_of_which_nothing_is_ever_doubted_is_refused(raw: dict[str, Any]) -> None:
    raw["train"] |= {"noise_share": 0.02, "noise_window": 50}
    assert check_params(raw)[1] == []
    raw["rounds"]["2"]["train"]["noise_window"] = 49
    (fault,) = check_params(raw)[1]
    assert fault.startswith("rounds.2.train.noise_window: found 49 at noise_share 0.02")
    assert "wanted 50 or more" in fault
    raw["train"]["noise_share"] = 0.0
    assert check_params(raw)[1] == []


def test_the_rival_is_chosen_on_development_prompts_so_that_there_are_some(
    raw: dict[str, Any],
) -> None:
    raw["split"]["development"] = 0
    assert [fault.split(":")[0] for fault in check_params(raw)[1]] == ["split.development"]


def test_an_override_holds_in_its_round_only(raw: dict[str, Any]) -> None:
    raw["rounds"]["2"] |= {
        "train": {"beta": 0.5, "lambda": 0.125},
        "judge": {"method": "random"},
        "filter": {"checks": {"cut": {"action": "drop"}}},
    }
    params, _ = check_params(raw)
    assert params is not None
    assert (params.for_round(1).train.beta, params.for_round(2).train.beta) == (0.1, 0.5)
    assert (params.for_round(1).judge.method, params.for_round(2).judge.method) == (
        "implicit",
        "random",
    )
    assert params.for_round(2).train.lambda_ == 0.125
    assert params.for_round(2).filter.checks["cut"].action == "drop"
    assert params.for_round(2).filter.checks["tie"] == params.filter.checks["tie"]


def test_round_zero_has_its_own_number_of_epochs(raw: dict[str, Any]) -> None:
    raw["train"] |= {"epochs": 1, "seed_epochs": 5}
    params, _ = check_params(raw)
    assert params is not None
    assert params.for_round(0).train.epochs == 5
    assert params.for_round(1).train.epochs == 1


def test_a_round_that_does_not_exist_says_which_do(raw: dict[str, Any]) -> None:
    params, _ = check_params(raw)
    assert params is not None
    with pytest.raises(ParamsError, match="rounds has 1, 2; wanted round 7"):
        params.for_round(7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("a: 1\nb: {c: 1, c: 2}", "is not YAML: key 'c' .*again"),
        ("- 1", "found list, wanted a mapping"),
        ("{}", "seed: missing"),
    ],
)
def test_a_broken_file_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=message) as raised:
        load_params(tmp_path / "params.yaml")
    assert "\n" not in str(raised.value)


def test_round_zero_has_a_seed_or_a_policy_and_not_both(raw: dict[str, Any]) -> None:
    raw["split"]["seed_pairs"] = 0
    assert [f.split(":")[0] for f in check_params(raw)[1]] == ["split.seed_pairs"]
    raw["base"]["policy"] = "models/instruct"
    assert check_params(raw)[1] == []
    raw["split"]["seed_pairs"] = 60
    assert [f.split(":")[0] for f in check_params(raw)[1]] == ["base.policy"]


def test_a_round_starts_from_an_earlier_one_or_the_rival(raw: dict[str, Any]) -> None:
    raw["rounds"]["1"]["prev"] = "rival"
    assert check_params(raw)[1] == []
    raw["rounds"]["1"]["prev"] = "base"
    assert check_params(raw)[1] == [
        "rounds.1.prev: found 'base', wanted an earlier round (0, rival)"
    ]


@pytest.mark.parametrize("key", ["²", "01", "x", "-1"])
def test_a_round_is_a_plain_number(raw: dict[str, Any], key: str) -> None:
    raw["rounds"][key] = raw["rounds"].pop("2")
    _, faults = check_params(raw)
    assert f'rounds.{key}: found {key!r}, wanted a number from "1" in quotes' in faults
