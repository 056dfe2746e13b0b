"""Several annotators in the report: numbers beside each other, and a warning in words."""

from typing import Any

from spa.files import write_json
from spa.layout import Layout
from spa.panel import panel_in_words, read_panel


def _rate(rate: float | None, spread: float = 0.1) -> dict[str, float | None]:
    bounds = (None, None) if rate is None else (rate - spread, rate + spread)
    return {"win_rate": rate, "win_rate_low": bounds[0], "win_rate_high": bounds[1], "n": 40}


def _null(**rates: float | None) -> dict[str, Any]:
    return {
        "null_win_rate": rates,
        "null_interval": {name: _rate(rate) for name, rate in rates.items()},
    }


def _write(layout: Layout, name: str, rubric: float, llm: float | None, **extra: Any) -> None:
    agreement = {"annotators": ["rubric", "llm"], "agreement": 0.75, "n": 40}
    rates = {"rubric": _rate(rubric), "llm": _rate(llm)}
    metrics = {"annotators": rates, "agreement": [agreement], "annotator": "rubric", **extra}
    write_json(layout.evaluation(name) / "metrics.json", metrics)


def test_the_others_and_the_gameable_are_told(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    _write(layout, "base", 0.5, 0.5, **_null(rubric=0.0, llm=0.9))
    _write(layout, "0", 0.55, 0.6)
    _write(layout, "1", 0.7, 0.65)
    _write(layout, "rival", 0.6, 0.8)
    panel = read_panel(layout, ["1"])
    assert panel["gameable"] == ["llm"]
    told, warned = panel_in_words(panel)
    assert "By llm the win rates are: 0 60.0% [50.0%, 70.0%], 1 65.0% [55.0%, 75.0%], rival" in told
    assert "agrees with rubric on 75.0% of the 40 prompts" in told
    assert "constant answer" in warned
    assert "in 90.0% [80.0%, 100.0%] of 40 prompts: it can be gamed" in warned


def test_few_prompts_do_not_tell_a_gameable_annotator_from_a_fair_one(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    _write(layout, "base", 0.5, 0.5, **_null(rubric=0.0, llm=0.55))
    _write(layout, "0", 0.55, 0.6)
    _write(layout, "rival", 0.6, 0.8)
    _, warned = panel_in_words(read_panel(layout, []))
    assert "of 40 prompts (so few do not tell it from half): it can be gamed" in warned


def test_an_annotator_that_named_no_better_answer_is_told(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    _write(layout, "base", 0.5, 0.5, **_null(rubric=0.0, llm=None))
    _write(layout, "0", 0.55, None)
    _write(layout, "rival", 0.6, 0.8)
    [told] = panel_in_words(read_panel(layout, []))
    assert "0 unknown (it named no better answer), rival 80.0% [" in told


def test_the_agreement_told_is_that_of_the_last_round_by_number(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    _write(layout, "base", 0.5, 0.5, **_null(rubric=0.0, llm=0.1))
    for name in ("0", "9", "10", "rival"):
        _write(layout, name, 0.6, 0.6)
    [told] = panel_in_words(read_panel(layout, ["9", "10"]))
    assert "On round 10 it agrees with rubric on 75.0%" in told
