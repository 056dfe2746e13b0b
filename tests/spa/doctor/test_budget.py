"""What the length limits would refuse or cut is counted."""

from pathlib import Path

import pytest

from spa.doctor.budget import check_budget
from spa.layout import Layout
from spa.models import load_encoder
from tests.spa.doctor.examined import edit, faults_of, notes_of, pools_of


@pytest.mark.parametrize(
    ("section", "values", "context", "named"),
    [
        ("train", {"max_length": 20}, 512, "train.max_length: found 20; 8 of 8 seed pairs"),
        ("train", {"max_length": 20}, 512, "rounds.1: train.max_length: found 20; 8 of 8 prompts"),
        ("evaluate", {"max_new_tokens": 500}, 512, "evaluate.max_new_tokens: 12 of 12 held-out"),
        ("generate", {"max_new_tokens": 500}, 512, "rounds.1: generate.max_new_tokens: 8 of 8"),
        ("evaluate", {}, 30, "split.gold: 8 of 8 gold pairs"),
        ("evaluate", {}, 30, "split.seed_pairs: 8 of 8 seed pairs"),
    ],
)
def test_what_does_not_fit_is_counted(
    pipeline: Layout, tiny_folder: Path, section: str, values: dict[str, int], context: int,
    named: str,
) -> None:  # fmt: skip
    params = edit(pipeline, lambda raw: raw[section].update(values))
    encoder = load_encoder(tiny_folder)
    faults = faults_of(check_budget(encoder, params, pools_of(pipeline), context))
    assert any(text.startswith(named) for text in faults), faults


def test_answers_that_would_be_cut_are_a_note(pipeline: Layout, tiny_folder: Path) -> None:
    params = edit(pipeline, lambda raw: raw["train"].update(max_length=150))
    params = params.model_copy(
        update={"generate": params.generate.model_copy(update={"max_new_tokens": 140})}
    )
    findings = check_budget(load_encoder(tiny_folder), params, pools_of(pipeline), 512)
    texts = notes_of(findings)
    assert any("evaluate.max_new_tokens: 12 would cut" in text for text in texts)
    assert any("rounds.1: train.max_length: found 150; after 8 of 8" in text for text in texts)
