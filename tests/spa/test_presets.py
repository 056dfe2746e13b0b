"""Presets: valid down to the planned steps, no commit invented, no work of the user's lost."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from spa.compute import Compute
from spa.doctor import examine
from spa.errors import InputError, ModelError, ParamsError
from spa.importing.files import read_rows
from spa.layout import Layout
from spa.param_files import check_params, load_params
from spa.planning import plan_pipeline
from spa.presets import OWN, Pin, open_pins, preset, presets, resolve_pins, write_preset
from spa.scaffold import lay_out
from spa.sources import materialise
from stages._app import run
from tests.loopback import serving

ROOT = Path(__file__).parents[2]
NAMES = [one.name for one in presets()]
STEPS = {
    "llama-3-8b": {"seed": 62, "train@1": 250, "train@2": 625},
    "no-seed": {"train@1": 250},
    "own": {"seed": 7, "train@1": 7, "train@2": 7},
    "starter": {"seed": 7, "train@1": 8, "train@2": 8},
    "zephyr-7b": {"seed": 187, "train@1": 250, "train@2": 625, "train@3": 937},
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_planned_without_model_data_or_network(name: str, tmp_path: Path) -> None:
    layout = lay_out(tmp_path / "mine").layout
    write_preset(layout, preset(name))
    plan = plan_pipeline(layout, load_params(layout.params), Compute(device="cpu"), probe=False)
    assert {s.name: s.work.steps for s in plan.stages if s.work.steps} == STEPS[name]
    assert all(stage.to_run for stage in plan.stages)
    assert not any("DVC cannot say" in note for note in plan.notes)


def test_the_plan_on_the_page_about_scale_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line there, in order; the second and third call have the adapter that the page says."""
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    lora = re.search(r"`(lora: {.*?})`", page)
    assert lora
    layout = lay_out(tmp_path).layout
    monkeypatch.chdir(layout.root)
    write_preset(layout, preset("zephyr-7b"))
    blocks = re.findall(r"```console\n\$ spa (plan .*)\n((?:.*\n)+?)```", page)
    assert len(blocks) == 3
    for command, shown in blocks:
        with pytest.raises(SystemExit):
            run(command.split())
        lines = iter(capsys.readouterr().out.splitlines())
        missing = [line for line in shown.splitlines() if line not in lines]  # takes them in order
        assert missing == []
        text = preset("zephyr-7b").text.replace("  max_length", f"  {lora[1]}\n  max_length")
        layout.params.write_text(text, encoding="utf-8")


def test_the_starter_is_the_repositorys() -> None:
    starter = (ROOT / "presets" / "starter.yaml").read_text(encoding="utf-8")
    assert preset("starter").text == starter, "copy presets/starter.yaml (`make format` does)"
    assert preset("starter").text == (ROOT / "params.yaml").read_text(encoding="utf-8")


def test_every_preset_says_in_one_line_what_it_is() -> None:
    for one in presets():
        assert 20 < len(one.about) < 200
        assert "\n" not in one.about


def test_zephyr_has_the_papers_numbers() -> None:
    params, faults = check_params(yaml.safe_load(preset("zephyr-7b").text))
    assert params is not None, faults
    train, rounds = params.train, params.rounds
    assert (train.beta, train.learning_rate, train.batch_size) == (0.1, 5e-7, 32)
    assert (train.seed_epochs, train.epochs, train.alpha, train.noise_share) == (3, 1, 0.1, 0.1)
    assert [rounds[n].prompts for n in rounds] == [8000, 20000, 30000]
    assert [params.for_round(int(n)).train.lambda_ for n in rounds] == [0.5, 0.25, 0.125]
    sampled = params.generate
    assert (sampled.samples, sampled.temperature, sampled.max_new_tokens) == (2, 0.7, 300)
    assert params.split.seed_pairs == 2000
    assert params.evaluate.annotators[0] == "alpaca_eval"
    assert (params.split.test, params.evaluate.against) == (805, "reference")


def test_llama_and_no_seed_differ_as_the_paper_says() -> None:
    llama, _ = check_params(yaml.safe_load(preset("llama-3-8b").text))
    bare, _ = check_params(yaml.safe_load(preset("no-seed").text))
    assert llama is not None
    assert bare is not None
    train = llama.train
    assert (train.beta, train.learning_rate, train.seed_epochs) == (0.01, 1e-5, 1)
    assert bare.base.policy is not None
    assert bare.split.seed_pairs == 0


@pytest.mark.parametrize("name", ["llama-3-8b", "no-seed", "zephyr-7b"])
def test_no_commit_is_invented(name: str) -> None:
    text = preset(name).text
    assert not re.search(r"@[0-9a-f]{6,}", text)
    assert len(open_pins(yaml.safe_load(text))) == text.count("@\n")


def test_doctor_says_what_is_missing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("spa.doctor.machine.device_memory", lambda compute: 80 * 10**9)
    monkeypatch.setattr("spa.doctor.machine.free_disk", lambda folder: 100 * 10**9)
    layout = lay_out(tmp_path).layout
    write_preset(layout, preset("zephyr-7b"))
    faults = [found.text for found in examine(layout) if found.state == "fault"]
    for start in ("base.source: alignment", "split.source: argilla", "split.instructions: data/"):
        assert any(text.startswith(start) for text in faults), start
    assert any("OPENAI_API_KEY" in text for text in faults)
    assert any(text.startswith("80.0 GB here") and "train.lora" in text for text in faults)
    assert any(text.startswith("100.0 GB here, the run needs about 333.1") for text in faults)
    assert len(faults) == 6
    assert "Traceback" not in caplog.text


def test_an_open_commit_is_refused_where_it_is_used(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="spa preset --resolve"):
        materialise("org/name@", tmp_path, root=tmp_path)
    with pytest.raises(InputError, match="spa preset --resolve"):
        next(read_rows("org/name@", tmp_path))


def test_resolving_changes_the_open_commits_and_nothing_else() -> None:
    text = preset("no-seed").text
    pins = open_pins(yaml.safe_load(text))
    assert [pin.kind for pin in pins] == ["model", "model", "dataset"]
    asked: list[Pin] = []

    def ask(pin: Pin) -> str:
        asked.append(pin)
        return COMMIT

    found = resolve_pins(text, pins, ask)
    assert asked == pins
    assert found.replace(COMMIT, "") == text
    assert found.count(COMMIT) == 3
    assert open_pins(yaml.safe_load(found)) == []


def test_a_name_within_another_is_left_alone() -> None:
    text = "base: {source: org/name@}\nsplit: {source: my-org/name@, prompts: 'org/name@'}\n"
    pin = Pin("base.source", "org/name@", "model")
    assert resolve_pins(text, [pin], lambda _: COMMIT) == text.replace(
        " org/name@", f" org/name@{COMMIT}"
    ).replace("'org/name@'", f"'org/name@{COMMIT}'")


def _answer(request: BaseHTTPRequestHandler) -> tuple[int, Any]:
    kind, _, name = request.path.removeprefix("/api/").partition("/")
    there = kind in ("models", "datasets") and name.partition("?")[0] == "org/name"
    return (200, {"id": "org/name", "sha": COMMIT}) if there else (404, {"error": "no"})


@pytest.fixture
def hub() -> Iterator[str]:
    with serving(_answer) as address:
        yield address


def _resolve(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "from stages._app import run; run(['preset', '--resolve'])"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_hub_is_asked_for_models_and_datasets(hub: str, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    text = preset("own").text.replace("data/raw/pairs.jsonl", "org/name@")
    text = re.sub("source: wheel.*", "source: org/name@", text)
    params.write_text(text)
    done = _resolve(tmp_path, HF_ENDPOINT=hub, HF_HUB_OFFLINE="0")
    assert done.returncode == 0, done.stderr
    assert params.read_text() == text.replace("org/name@", f"org/name@{COMMIT}")


@pytest.mark.parametrize("offline", ["0", "1"])
def test_a_hub_that_does_not_say_leaves_params_as_they_are(
    hub: str, tmp_path: Path, offline: str
) -> None:
    params = tmp_path / "params.yaml"
    text = preset("own").text.replace("data/raw/pairs.jsonl", "org/other@")
    params.write_text(text)
    done = _resolve(tmp_path, HF_ENDPOINT=hub, HF_HUB_OFFLINE=offline)
    assert done.returncode == 1
    assert done.stderr.startswith("error: split.source: the Hub gave no commit")
    assert "spa preset --resolve" in done.stderr
    assert done.stderr.count("\n") == 1
    assert params.read_text() == text


def test_another_params_file_is_kept_unless_forced(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.params.write_text("seed: 5\n")
    with pytest.raises(ParamsError, match="--force"):
        write_preset(layout, preset("starter"))
    assert layout.params.read_text() == "seed: 5\n"
    assert write_preset(layout, preset("starter"), force=True) == [layout.params]
    assert write_preset(layout, preset("starter")) == []
    layout.params.write_text(f"{preset('starter').text}# mine\n")
    with pytest.raises(ParamsError, match="differs from preset zephyr-7b"):
        write_preset(layout, preset("zephyr-7b"))


def test_what_init_wrote_is_replaced_unasked_while_nobody_edited_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert write_preset(layout, preset(OWN)) == [layout.params, tmp_path / "rubric.py"]
    assert write_preset(layout, preset("zephyr-7b")) == [layout.params]


def test_an_unknown_preset_names_all() -> None:
    with pytest.raises(ParamsError, match=", ".join(NAMES)):
        preset("mistral")
