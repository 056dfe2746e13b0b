"""Several annotators in the report: numbers beside each other, and a warning in words."""

from typing import Any

from spa.files import write_json
from spa.layout import Layout
from spa.panel import panel_in_words, read_panel


def _write(layout: Layout, name: str, rubric: float, llm: float | None, **extra: Any) -> None:
    agreement = {"annotators": ["rubric", "llm"], "agreement": 0.75, "n": 40}
    rates = {"rubric": {"win_rate": rubric}, "llm": {"win_rate": llm}}
    metrics = {"annotators": rates, "agreement": [agreement], "annotator": "rubric", **extra}
    write_json(layout.evaluation(name) / "metrics.json", metrics)


def test_the_others_and_the_gameable_are_told(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    _write(layout, "base", 0.5, 0.5, null_win_rate={"rubric": 0.0, "llm": 0.9})
    _write(layout, "0", 0.55, 0.6)
    _write(layout, "1", 0.7, 0.65)
    _write(layout, "rival", 0.6, 0.8)
    panel = read_panel(layout, ["1"])
    assert panel["gameable"] == ["llm"]
    told, warned = panel_in_words(panel)
    assert "By llm the win rates are: 0 60.0%, 1 65.0%, rival 80.0%." in told
    assert "agrees with rubric on 75.0% of the 40 prompts" in told
    assert "constant answer" in warned
    assert "90.0%" in warned


def test_an_annotator_that_named_no_better_answer_is_told(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    _write(layout, "base", 0.5, 0.5, null_win_rate={"rubric": 0.0, "llm": None})
    _write(layout, "0", 0.55, None)
    _write(layout, "rival", 0.6, 0.8)
    [told] = panel_in_words(read_panel(layout, []))
    assert "0 unknown (it named no better answer), rival 80.0%" in told
