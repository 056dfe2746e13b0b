"""Study 2 after SPA's rounds: what its tables say of runs that were made by hand."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import real_labels_rounds
import study

from spa.layout import Layout
from spa.records import Pair
from spa.tables import write_table


def _pair(prompt: str, rounds: tuple[float, float, float]) -> dict[str, Any]:
    """A pair whose likelihood is wrong, whose length is right and whose surface says nothing."""
    judged = {f"round {i}": margin for i, margin in enumerate(rounds)}
    return {"prompt_id": prompt, "likelihood": -1.0, "length": 3, "surface": 0.0, **judged}


def test_answers_a_prompt_are_asked_of_the_pipeline_and_no_run_is_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but the pipeline's own work, which takes half an hour a run."""
    asked: list[tuple[int, int]] = []

    def noted(layout: Layout, params: dict[str, Any], targets: list[str]) -> None:
        asked.append((params["seed"], params["generate"]["samples"]))
        assert (study.ROOT / params["rubric"]["file"]).is_file()

    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "data" / "raw").mkdir(parents=True)
    (tmp_path / "balanced.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(real_labels_rounds, "RESULTS", tmp_path / "rows.jsonl")
    monkeypatch.setattr(real_labels_rounds, "_judged", lambda layout: {})
    monkeypatch.setattr(study, "reproduce", noted)
    real_labels_rounds.run(tmp_path, [1, 2], [4])
    real_labels_rounds.run(tmp_path, [1], [4, 8])
    assert asked == [(1, 4), (2, 4), (1, 8)]


def _pairs(count: int) -> list[Pair]:
    """Pairs whose chosen answers are longer."""
    return [
        Pair(
            pair_id=f"pair {n}",
            prompt_id=f"prompt {n}",
            prompt=[{"role": "user", "content": f"Why is bread number {n} good?"}],
            chosen=f"It is light, {n} times, and full of taste.",
            rejected=f"It is {n}.",
            chosen_finish_reason="stop",
            rejected_finish_reason="stop",
        )
        for n in range(count)
    ]


def test_what_no_round_changes_is_judged_once_for_each_seed_policy(
    tmp_path: Path, tiny_folder: Path, other_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_labels_rounds, "RESULTS", tmp_path / "rows.jsonl")
    layout = Layout(tmp_path)
    write_table(layout.pool("seed"), _pairs(2), Pair)
    write_table(layout.pool("gold"), _pairs(3), Pair)
    for name, source in (("base", tiny_folder), ("0", other_folder), ("1", tiny_folder)):
        shutil.copytree(source, layout.policy(name))
    shutil.copytree(other_folder, layout.policy("2"))
    row = real_labels_rounds._judged(layout)
    for pair in row["held_out"]:
        assert pair["round 1"] == pytest.approx(0, abs=1e-4)  # the base, against itself
        assert pair["round 0"] == pair["round 2"] != pytest.approx(0, abs=1e-4)
        assert pair["length"] > 0
    for pair in (*row["seed"], *row["held_out"]):
        pair["length"] = -1  # to know it again
    study.append(real_labels_rounds.RESULTS, row)
    shutil.rmtree(layout.policy("2"))
    shutil.copytree(tiny_folder, layout.policy("2"))
    again = real_labels_rounds._judged(layout)
    assert [pair["length"] for pair in again["held_out"]] == [-1] * 3
    assert [pair["round 2"] for pair in again["held_out"]] == pytest.approx([0] * 3, abs=1e-4)
    shutil.rmtree(layout.policy("0"))
    shutil.copytree(tiny_folder, layout.policy("0"))
    anew = real_labels_rounds._judged(layout)
    assert [pair["round 0"] for pair in anew["held_out"]] == pytest.approx([0] * 3, abs=1e-4)
    assert all(pair["length"] > 0 for pair in anew["held_out"])


def test_rounds_are_told_by_answers_a_prompt_and_beside_the_best_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 4 answers round 2 is right on both pairs and round 0 on one; of 8 it is wrong on both."""
    monkeypatch.setattr(real_labels_rounds, "RESULTS", tmp_path / "rows.jsonl")
    seed = [{"prompt_id": "s", "likelihood": 1.0, "length": 1}]
    for answers, last in ((8, -1.0), (4, 1.0)):
        held_out = [_pair("a", (1.0, 1.0, last)), _pair("b", (-1.0, 1.0, last))]
        row = {"split": 1, "answers": answers, "seed": seed, "held_out": held_out}
        study.append(real_labels_rounds.RESULTS, row)
    found = real_labels_rounds.table()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in found.splitlines()]
    shares = {row[0]: [cell.split(" ")[0] for cell in row[1:]] for row in rows if len(row) == 9}
    assert shares["4"] == ["1", "2", "50.0", "100.0", "100.0", "0.0", "100.0", "50.0"]
    assert shares["8"] == ["1", "2", "50.0", "100.0", "0.0", "0.0", "100.0", "50.0"]
    gaps = {(row[0], row[1]): row[2].split(" ")[0] for row in rows if len(row) == 3}
    assert gaps["4", "round 2 - round 0"] == "+50.0"
    assert gaps["4", "round 2 - length"] == "+0.0"
    assert gaps["8", "round 2 - length"] == "-100.0"
