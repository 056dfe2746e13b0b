"""Study 2 after SPA's rounds: what its tables say of runs that were made by hand."""

from pathlib import Path
from typing import Any

import pytest
import real_labels_rounds
import study

from spa.layout import Layout


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
