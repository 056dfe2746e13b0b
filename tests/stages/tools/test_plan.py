"""`spa plan` of what is not here: GPUs, models, data."""

import json
from pathlib import Path
from typing import Any

import pytest

from spa.presets import preset
from spa.scaffold import lay_out
from stages._app import run


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = lay_out(tmp_path / "mine").layout
    text = preset("zephyr-7b").text.replace("[alpaca_eval, llm]", "llm")
    made.params.write_text(text, encoding="utf-8")
    monkeypatch.chdir(made.root)
    return made.root


def _plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        run(["plan", "--no-probe", *arguments])
    return int(stop.value.code or 0), *capsys.readouterr()


def test_every_option_moves_the_figures(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def total(*arguments: str) -> dict[str, Any]:
        code, out, error = _plan(capsys, "--json", *arguments)
        assert code == 0, error
        found: dict[str, Any] = json.loads(out)["total"]
        return found

    prompts, card = ("--prompt-tokens", "190"), ("--gpu", "h100")
    here, one = total(), total(*prompts, *card)
    assert here["steps"] == one["steps"] == 187 + 250 + 625 + 937
    assert here["hours"] is None
    assert one["tokens"] < here["tokens"]
    assert one["hours"] > total(*prompts, *card, "--gpus", "8")["hours"]
    assert total(*prompts, "--answer-tokens", "250")["tokens"] < one["tokens"]
    small = {"model_type": "llama", "vocab_size": 100, "num_hidden_layers": 2, "hidden_size": 64}
    (layout / "small.json").write_text(json.dumps(small))
    assert total("--config", "small.json")["memory"] < here["memory"]


def test_hours_that_nobody_can_measure_here_are_told_of_gpus(
    layout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rented = json.loads(_plan(capsys, "--json")[1])["rented"]
    assert [(row["gpu"], row["gpus"]) for row in rented] == [("h100", 1), ("h100", 8)]
    named = json.loads(_plan(capsys, "--json", "--gpu", "h100", "--gpus", "8")[1])
    assert rented[0]["hours"] > rented[1]["hours"] == named["total"]["hours"]
    assert named["rented"] == []
    said = f"{rented[0]['hours']:.2f} on 1 x h100, {rented[1]['hours']:.2f} on 8 x h100"
    assert f"hours: unknown here; by arithmetic {said}" in _plan(capsys)[1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--gpus", "8"], 2, "--gpus needs --gpu NAME"),
        (["--gpu", "abacus"], 1, "error: --gpu: found 'abacus'; wanted one of a100, h100, h200"),
        (["--config", "none.json"], 1, "none.json: not found; wanted a model's config.json"),
    ],
)
def test_what_cannot_be_planned_is_one_clear_line(
    layout: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    found, out, error = _plan(capsys, *arguments)
    assert (found, out) == (code, "")
    assert said in error
    assert code == 2 or error.count("\n") == 1
