"""params.yaml: all faults at once, and overrides of one round in that round only."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from spa.annotators import AlpacaEval
from spa.contract import DEFAULT_CHECKS, DEFAULT_GATES, Check, Gate
from spa.errors import ParamsError
from spa.param_files import check_params, load_compute, load_params

ROOT = Path(__file__).parents[2]


@pytest.fixture
def raw() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return loaded


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
    [("a: [", "is not YAML"), ("- 1", "found list, wanted a mapping"), ("{}", "seed: missing")],
)
def test_a_broken_file_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=message) as raised:
        load_params(tmp_path / "params.yaml")
    assert "\n" not in str(raised.value)


def test_options_of_vllm_change_no_answers(tmp_path: Path) -> None:
    file = tmp_path / "compute.yaml"
    file.write_text("vllm: {options: {max_model_len: 4096}}")
    assert load_compute(file).vllm.options == {"max_model_len": 4096}
    file.write_text("vllm: {options: {quantization: fp8, trust_remote_code: true}}")
    with pytest.raises(ParamsError, match=r"vllm.options: .*quantization, trust_remote_code"):
        load_compute(file)


def test_options_of_vllm_can_be_handed_on(tmp_path: Path) -> None:
    file = tmp_path / "compute.yaml"
    for value in ("2026-01-01", ".nan"):
        file.write_text(f"vllm: {{options: {{max_model_len: {value}}}}}\n")
        with pytest.raises(ParamsError, match=r"vllm\.options: .* wanted values that JSON has"):
            load_compute(file)


def test_shards_take_several_processes(tmp_path: Path) -> None:
    file = tmp_path / "compute.yaml"
    file.write_text("{processes: 2, shard: true}")
    assert load_compute(file).shard
    file.write_text("{shard: true, launcher: {command: srun torchrun, processes: 16}}")
    assert (load_compute(file).processes, load_compute(file).training_processes) == (1, 16)
    for command, named in (("torchrun 'a", "No closing quotation"), ("", "found none")):
        file.write_text(f'launcher: {{command: "{command}"}}')
        with pytest.raises(ParamsError, match=rf"launcher.command: .*{named}"):
            load_compute(file)
    file.write_text("launcher: {processes: 16}")
    with pytest.raises(ParamsError, match=r"launcher: .*wanted a command beside processes"):
        load_compute(file)
    file.write_text("shard: true")
    with pytest.raises(ParamsError, match=r"shard: found True, .*wanted processes of 2 or more"):
        load_compute(file)


def test_compute_is_found_out_where_nothing_is_said(tmp_path: Path) -> None:
    assert load_compute(tmp_path / "compute.yaml").device is None
    (tmp_path / "compute.yaml").write_text("generate_batch: 0\nfoo: 1")
    with pytest.raises(ParamsError, match=r"generate_batch: found 0.*foo: unknown key"):
        load_compute(tmp_path / "compute.yaml")


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


@pytest.mark.parametrize(
    ("evaluate", "fault"),
    [
        ({"annotator": "llm"}, "evaluate.llm: missing"),
        ({"annotator": ["rubric", "reward_model"]}, "evaluate.reward_model: missing"),
        ({"annotator": ["rubric", "rubric"]}, "evaluate.annotator: found ['rubric', 'rubric']"),
        ({"annotator": "recorded"}, "evaluate.recorded: missing"),
        ({"annotator": "recorded", "recorded": "a.json"}, "evaluate.recorded: found 'a.json'"),
        ({"annotator": "gpt"}, "evaluate.annotator"),
        ({"against": "reference"}, "evaluate.against: found 'reference'; wanted split.instruct"),
        ({"regression_data": "df.csv"}, "evaluate.regression_data: found 'df.csv'"),
    ],
)
def test_an_annotator_needs_what_it_works_with(
    raw: dict[str, Any], evaluate: dict[str, Any], fault: str
) -> None:
    raw["evaluate"] |= evaluate
    _, faults = check_params(raw)
    assert faults[0].startswith(fault)


@pytest.mark.parametrize("key", ["²", "01", "x", "-1"])
def test_a_round_is_a_plain_number(raw: dict[str, Any], key: str) -> None:
    raw["rounds"][key] = raw["rounds"].pop("2")
    _, faults = check_params(raw)
    assert f'rounds.{key}: found {key!r}, wanted a number from "1" in quotes' in faults


@pytest.mark.parametrize("device", ["foo", "meta", "cuda:x", "cuda:0", "cpu", "mps"])
def test_a_device_is_one_that_computes(tmp_path: Path, device: str) -> None:
    file = tmp_path / "compute.yaml"
    file.write_text(f"device: {device}\n")
    if device in ("cuda:0", "cpu", "mps"):
        assert load_compute(file).device == device
        return
    with pytest.raises(ParamsError, match=r"compute\.yaml: device"):
        load_compute(file)


@pytest.mark.parametrize("name", ["recorded", "regression_data"])
@pytest.mark.parametrize("file", ["mine.json", "data/raw/annotations/../../mine.json"])
def test_what_evaluations_read_lies_where_dvc_looks(
    raw: dict[str, Any], name: str, file: str
) -> None:
    raw["evaluate"] |= {name: file}
    _, faults = check_params(raw)
    assert faults == [
        f"evaluate.{name}: found {file!r}; wanted a file under data/raw/annotations/, which "
        "evaluations depend on"
    ]


def test_annotators_keep_their_order_and_recorded_ones_cannot_be_asked(raw: dict[str, Any]) -> None:
    raw["evaluate"] |= {"annotator": ["recorded", "llm"], "llm": "data/base/policy"}
    raw["evaluate"]["recorded"] = "data/raw/annotations/a.json"
    params, _ = check_params(raw)
    assert params is not None
    assert params.evaluate.annotators == ["recorded", "llm"]
    assert params.evaluate.asked == "llm"


def test_a_check_or_gate_that_is_not_named_has_its_default(raw: dict[str, Any]) -> None:
    """A params.yaml from before a check was made gets it, and `off` ends it."""
    raw["filter"] = {
        "checks": {"tie": {"action": "off"}},
        "gates": {"distinct_2": {"action": "warn", "low": 0.5}},
    }
    raw["rounds"]["2"]["filter"] = {"gates": {"margin_std": {"action": "off"}}}
    params, _ = check_params(raw)
    assert params is not None
    assert params.filter.checks == {**DEFAULT_CHECKS, "tie": Check(action="off")}
    assert params.filter.gates["distinct_2"] == Gate(action="warn", low=0.5)
    assert params.filter.gates["chosen_longer"] == DEFAULT_GATES["chosen_longer"]
    assert params.for_round(2).filter.gates["margin_std"].action == "off"
    del raw["filter"]
    params, _ = check_params(raw)
    assert params is not None
    assert params.filter.checks == DEFAULT_CHECKS
    raw["filter"] = {"gates": {"chosen_longer": {"action": "drop"}}}
    assert check_params(raw)[1][0].startswith("filter.gates.chosen_longer.action: found 'drop'")


@pytest.mark.parametrize(
    ("name", "check", "said"),
    [
        ("identical", {"action": "drop", "limit": 0.5}, "identical has no limit"),
        ("tie", {"action": "drop", "side": "chosen"}, "tie looks at both answers"),
    ],
)
def test_a_check_takes_nothing_that_would_change_nothing(
    raw: dict[str, Any], name: str, check: dict[str, Any], said: str
) -> None:
    raw["filter"]["checks"][name] = check
    assert any(said in fault for fault in check_params(raw)[1])


def test_all_faults_of_the_checks_are_named_at_once(raw: dict[str, Any]) -> None:
    raw["filter"]["checks"] |= {
        "identical": {"action": "drop", "limit": 0.5},
        "tie": {"action": "drop", "side": "chosen"},
    }
    faults = " ".join(check_params(raw)[1])
    assert "identical has no limit" in faults
    assert "tie looks at both answers" in faults


def test_annotations_are_signed_by_the_config_and_another_model() -> None:
    assert AlpacaEval().signature == "weighted_alpaca_eval_gpt4_turbo"
    assert AlpacaEval(config="judges/mine", model="small").signature == "mine of small"
