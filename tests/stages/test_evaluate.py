"""Stage `evaluate`: several annotators at once, on a tiny model."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from spa.compute import Compute
from spa.errors import AnnotationError, InputError, ParamsError
from spa.heldout import pair_sequences
from spa.layout import Layout
from spa.leaderboard import raw_figures
from spa.models import load_policy
from spa.records import Pair
from spa.scoring import answer_logps, response_logps
from spa.tables import read_table
from stages import base, evaluate, split
from stages._app import run
from stages._context import stage_context
from stages._evaluating import read_gold, sample_policy
from tests.pipeline.tiny_params import write_pipeline
from tests.spa.annotation.fault_server import serve, wrong_key


@pytest.fixture
def layout(
    tmp_path: Path, tiny_folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> Layout:
    found = Layout(write_pipeline(tmp_path / "pipeline", tiny_folder, code=False))
    shutil.copy(database, found.root)
    monkeypatch.chdir(found.root)
    base.main()
    split.main()
    return found


def _set(layout: Layout, **changes: Any) -> None:
    params = yaml.safe_load(layout.params.read_text())
    params["evaluate"] |= changes
    layout.params.write_text(yaml.safe_dump(params, sort_keys=False))


def _read(layout: Layout, file: str) -> Any:
    return json.loads((layout.evaluation("base") / file).read_text())


def test_several_annotators_are_reported_beside_each_other(layout: Layout) -> None:
    _set(layout, annotator=["llm", "rubric"], llm="data/base/policy")
    evaluate.main(None, base=True)
    metrics = _read(layout, "metrics.json")
    assert metrics["annotator"] == "llm"
    assert set(metrics["annotators"]) == {"llm", "rubric"}
    assert metrics["agreement"][0]["annotators"] == ["llm", "rubric"]
    assert set(metrics["null_win_rate"]) == {"llm", "rubric"}
    assert metrics["null_win_rate"]["rubric"] <= 0.5
    assert {row["annotator"] for row in _read(layout, "annotations.json")} == {"llm"}
    assert {row["annotator"] for row in _read(layout, "annotations_rubric.json")} == {"rubric"}
    for file in ("annotations.json", "annotations_rubric.json"):
        assert {row["dataset"] for row in _read(layout, file)} == {"test"}
        assert {row["dataset"] for row in _read(layout, f"development/{file}")} == {"development"}


def test_policies_meet_the_answers_that_an_instruction_set_comes_with(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"instruction": f"Why is {n}?", "output": f"Because {n}.", "generator": "reference model"}
        for n in range(6)
    ]
    (layout.raw / "set.json").write_text(json.dumps(rows))
    params = yaml.safe_load(layout.params.read_text())
    params["split"] |= {"instructions": "data/raw/set.json", "test": 5}
    layout.params.write_text(yaml.safe_dump(params, sort_keys=False))
    split.main()
    assert len(json.loads(layout.reference_outputs.read_text())) == 5
    evaluate.main(None, base=True)
    assert _read(layout, "metrics.json")["win_rate"] == 0.5  # against itself
    _set(layout, against="reference")
    evaluate.main(None, base=True)
    rows = _read(layout, "annotations.json")
    assert [row["instruction"] for row in rows] == [f"Why is {n}?" for n in range(5)]
    assert [row["output_1"] for row in rows] == [f"Because {n}." for n in range(5)]
    assert {(row["generator_1"], row["generator_2"]) for row in rows} == {
        ("reference model", "base")
    }
    metrics = _read(layout, "metrics.json")
    assert metrics["lc_win_rate"] is None
    assert "not AlpacaEval's 805" in metrics["lc_reason"]
    dear = {"usd_per_million_tokens": 1000.0}  # some 0.3 USD a call: 5 answers, 4 constant ones
    _set(layout, annotator="alpaca_eval", max_cost_usd=2.0, alpaca_eval=dear)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    with serve() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with pytest.raises(AnnotationError, match=r"4 calls .* after 1\.5\d USD for calls before"):
            evaluate.main(None, base=True)
        assert len(server.bodies) == 5


def test_a_round_that_params_yaml_does_not_have_is_told_with_those_it_has(layout: Layout) -> None:
    with pytest.raises(ParamsError, match=r"rounds has 1, 2; wanted round 7"):
        evaluate.main(7, base=False)


def test_what_was_not_recorded_stops_and_keeps_the_answers(layout: Layout) -> None:
    file = layout.raw / "annotations" / "mine.json"
    row = {"instruction": "x", "output_1": "a", "output_2": "b", "preference": 2.0}
    file.write_text(json.dumps([{**row, "generator_1": "base", "generator_2": "x"}]))
    _set(layout, annotator="recorded", recorded="data/raw/annotations/mine.json")
    evaluate.main(None, base=True)  # the base against itself is a tie that needs no record
    outputs = _read(layout, "outputs.json")
    for output in outputs:
        output["output"] += "!"
    (layout.evaluation("base") / "outputs.json").write_text(json.dumps(outputs))
    layout.policy(0).parent.mkdir()
    layout.policy(0).symlink_to(layout.policy("base"))
    with pytest.raises(AnnotationError, match="12 of 12 comparisons are not recorded") as error:
        evaluate.main(0, base=False)
    kept = layout.cache / "evaluation" / "0" / "outputs.json"
    assert str(layout.show(kept)) in str(error.value)
    assert len(json.loads(kept.read_text())) == 12


def test_a_link_to_recorded_annotations_elsewhere_is_refused(
    layout: Layout, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "mine.json"
    elsewhere.write_text("[]")
    (layout.raw / "annotations" / "mine.json").symlink_to(elsewhere)
    _set(layout, annotator="recorded", recorded="data/raw/annotations/mine.json")
    with pytest.raises(InputError, match=r"annotations/mine\.json: is or lies behind a link to"):
        evaluate.main(None, base=True)


def _as_the_leaderboard(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    """`spa winrate` and alpaca-eval itself say of a round's annotations what its metrics say."""
    folder = layout.evaluation("0")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["annotator"] == "alpaca_eval"
    rows = json.loads((folder / "annotations.json").read_text())
    assert {row["annotator"] for row in rows} == {"weighted_alpaca_eval_gpt4_turbo"}
    capfd.readouterr()
    with pytest.raises(SystemExit):
        run(["winrate", str(folder / "annotations.json"), "--json"])
    found = json.loads(capfd.readouterr().out)
    for figures in (found, raw_figures(rows)):
        for key in ("win_rate", "discrete_win_rate"):
            assert figures[key] / 100 == pytest.approx(metrics[key])
    assert found["n"] == metrics["n"] == 8


def test_an_endpoint_is_paid_once_and_its_key_is_written_nowhere(
    layout: Layout,
    other_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Base and policy differ, so that all 12 pairs are asked; the constant answer meets 4.
    What was annotated reads as AlpacaEval's does."""
    canary = "sk-canary-0123456789"
    shutil.copytree(other_folder, layout.policy(0))
    _set(layout, annotator=["alpaca_eval", "rubric"])
    with serve() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", canary)
        evaluate.main(None, base=True)
        assert len(server.bodies) == 4
        evaluate.main(0, base=False)
        assert len(server.bodies) == 16
        evaluate.main(0, base=False)
        assert len(server.bodies) == 16
        _as_the_leaderboard(layout, capfd)
        server.fault = wrong_key
        _set(layout, alpaca_eval={"model": "another"})
        with pytest.raises(AnnotationError) as error:
            evaluate.main(0, base=False)
    assert _read(layout, "metrics.json")["null_win_rate"]["alpaca_eval"] > 0.5  # it likes length
    written = [
        f for f in layout.root.rglob("*") if f.is_file() and canary.encode() in f.read_bytes()
    ]
    assert not written
    assert canary not in "".join([str(error.value), *capfd.readouterr()])


def test_drift_is_read_on_test_prompts_and_gold_pairs_by_the_models_themselves(
    layout: Layout, other_folder: Path
) -> None:
    shutil.copytree(other_folder, layout.policy(0))
    evaluate.main(None, base=True)
    evaluate.main(0, base=False)
    metrics = json.loads((layout.evaluation("0") / "metrics.json").read_text())
    with stage_context() as here:
        answers, others = (sample_policy(here, layout.policy(name)) for name in ("0", "base"))
        reading = read_gold(here, layout.policy(0))
    own, first = (load_policy(layout.policy(n), Compute(device="cpu")) for n in ("0", "base"))
    tested = answers["test"]
    assert [a.seed for a in tested] == [a.seed for a in others["test"]]  # alike for every policy
    logps = [response_logps(model, tested, token_budget=512) for model in (own, first)]
    drift = sum(a - b for a, b in zip(*logps, strict=True)) / len(tested)
    assert metrics["kl_to_base"] == pytest.approx(drift, abs=1e-3)
    sequences = pair_sequences(own.encoder, read_table(layout.pool("gold"), Pair))
    said = answer_logps(own, sequences, token_budget=512)
    assert [logp for both in reading.logps for logp in both] == pytest.approx(said, abs=1e-4)
