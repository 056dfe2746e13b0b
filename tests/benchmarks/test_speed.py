"""`make bench`: ratios by hand, the page, and that both sides of a comparison do the same work."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from speed import gpu, judging, overhead, sampling, training
from speed.authors import MEASURED, label, save_rewards
from speed.page import BEGIN, END, record, write_page
from speed.ratios import Comparison, Outcome, compare
from speed.work import make_work
from vllm_speed import against

from spa.judging import make_pairs, make_scores
from spa.params import Judge
from tests.pipeline.tiny_params import ROOT

PAIRS = [
    {"prompt": f"Why is {a} good?", "chosen": f"It is {a}.", "rejected": f"So {a} and {a}."}
    for a in ("bread", "water", "salt", "sugar", "heat", "dough", "oven", "crust")
]


@pytest.fixture
def work(tiny_folder: Path, tmp_path: Path) -> dict[str, Any]:
    source = tmp_path / "pairs.jsonl"
    source.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    return make_work(tiny_folder, source, pairs=8, micro_pairs=4) | {"generate_batch": 8}


def test_a_ratio_is_the_best_peers_over_ours_run_by_run() -> None:
    runs = [
        {"a": Outcome(2.0, 1.0), "b": Outcome(6.0, 3.0), "c": Outcome(5.0, 4.0)},
        {"a": Outcome(1.0, 1.0), "b": Outcome(4.0, 3.0), "c": Outcome(9.0, 4.0)},
        {"a": Outcome(2.0, 1.0), "b": Outcome(6.0, 3.0), "c": Outcome(6.5, 4.0)},
    ]
    found = compare(Comparison("x", "a", ("b", "c"), 3.5), runs)
    assert found.ratios == (2.5, 4.0, 3.0)
    assert (found.ratio, found.ours, found.peer, found.reached) == (3.0, 2.0, 5.0, False)
    assert found.line() == (
        "x ratio=3.00 (ours 2 s, peer 5 s, n=3, spread 2.50 to 4.00; wanted 3.50: MISSED)"
    )
    memory = compare(Comparison("m", "a", ("b",), 3.0, quantity="peak_gib", unit="GiB"), runs)
    assert memory.reached
    assert memory.ratio == 3.0


def test_every_stage_is_credited_with_what_it_loads() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert set(overhead.LOADS) == set(stages)


def test_the_page_keeps_its_words_and_changes_its_tables(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter\n")
    figure = {
        "name": "x", "ratio": 2.0, "goal": 1.5, "ours": 1.0, "peer": 2.0, "unit": "s",
        "ratios": [1.9, 2.0, 2.1], "note": "a note",
    }  # fmt: skip
    write_page(page, {"group": {"figures": [figure], "work": {"pairs": 8}}})
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("After\n")
    assert "old" not in text
    assert "| x | **2.00** | 1.90 to 2.10 (n = 3) | 1.50 | 1 s | 2 s | a note |" in text


def test_training_beside_trl_has_the_same_losses(work: dict[str, Any]) -> None:
    own = training.ours(work)["losses"]
    assert training.trl_live(work)["losses"] == pytest.approx(own, abs=1e-4)
    assert training.trl_precomputed(work)["losses"] == pytest.approx(own, abs=1e-4)


def test_judging_beside_trl_finds_the_same_log_probabilities(work: dict[str, Any]) -> None:
    own = judging.ours(work)
    assert own["reuse_error"] < judging.TOLERANCE
    assert judging.ours_both(work)["logps"] == pytest.approx(own["logps"], abs=1e-3)
    assert judging.trl(work)["logps"] == pytest.approx(own["logps"], abs=1e-3)


def test_both_samplers_answer_all_requests(work: dict[str, Any]) -> None:
    two = {**work, "pairs": work["pairs"][:2]}
    assert sampling.ours(two)["tokens"] > 2 * 4
    assert sampling.plain(two)["tokens"] > 2 * 4


def test_the_authors_bookkeeping_makes_our_labels(tmp_path: Path) -> None:
    from datasets import Dataset

    rewards = {"q0": (0.5, 1.0), "q1": (2.0, 1.0), "q2": (-3.0, -1.0)}
    file = tmp_path / "rewards.json"
    for name, (first, second) in rewards.items():
        save_rewards(file, name, {"0": first, "1": second})
    rows = Dataset.from_dict({
        "index": list(rewards), "prompt": ["?"] * 3,
        "chosen": ["a0", "a1", "a2"], "rejected": ["b0", "b1", "b2"],
    })  # fmt: skip
    theirs = [(p["chosen"], p["rejected"]) for p in label(rows, json.loads(file.read_text()))]
    answers = [judging._response(name, n, [n], [-1.0]) for name in rewards for n in (0, 1)]
    flat = [reward for pair in rewards.values() for reward in pair]
    scores = make_scores(answers, flat, [0.0] * 6, flat)
    pairs = make_pairs(answers, scores, Judge(method="implicit"), beta=0.1, seed=1, round=1)
    names = {a.response_id: f"{'ab'[a.sample]}{a.prompt_id[1]}" for a in answers}
    assert [(names[p.chosen_id], names[p.rejected_id]) for p in pairs] == theirs
    assert MEASURED[0] < MEASURED[1]


def test_vllm_is_compared_by_time_per_token() -> None:
    runs = {
        "ours": [(10.0, 1000), (12.0, 1000), (20.0, 2000)],
        "vllm": [(9.0, 1000), (12.0, 500), (20.0, 2000)],
        "vllm-without-seeds": [(8.0, 1000), (6.0, 1000), (10.0, 2000)],
    }
    found = against("vllm", runs)
    assert found.ratios == pytest.approx((0.9, 2.0, 1.0))
    assert (found.ours, found.peer, found.unit) == (10.0, 10.0, "ms/token")
    assert found.reached
    unseeded = against("vllm-without-seeds", runs)
    assert unseeded.name == "vllm_without_seeds"
    assert not unseeded.reached


def test_a_group_is_recorded_beside_the_others(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "performance.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    figure = compare(Comparison("x", "a", ("b",), 1.0), [{"a": Outcome(1, 0), "b": Outcome(2, 0)}])
    record(tmp_path, "first", [figure], [], {"answers a run": 4})
    record(tmp_path, "second", [figure], [], {})
    record(tmp_path, "second", [figure], [{"a": 1}], {})
    found = json.loads((tmp_path / "benchmarks" / "results.json").read_text())
    assert list(found) == ["first", "second"]
    assert found["second"]["runs"] == [{"a": 1}]
    assert "### first\n\n4 answers a run." in page.read_text()


@pytest.mark.slow
def test_the_gpu_check_holds_a_device_against_the_cpu(
    work: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Tried on a CPU: float32 agrees with itself, and a limit that is crossed is an error."""
    pairs = str(tmp_path / "pairs.jsonl")
    command = ["gpu", "--model", work["model"], "--pairs", pairs, "--n", "8", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setitem(gpu.TOLERANCES, "bfloat16_logp_nats", 0.0)
    with pytest.raises(SystemExit, match=r"bfloat16_logp_nats = [0-9.e-]+, wanted 0"):
        gpu.main()
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["float32"]["off"] == {"float32_logp_nats": 0.0, "float32_loss": 0.0}
    assert report["bfloat16"]["off"]["bfloat16_logp_nats"] > 0
