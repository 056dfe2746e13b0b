"""Lengths in tokens: measured, guessed from characters, or told."""

from pathlib import Path

from spa.layout import Layout
from spa.param_files import load_params
from spa.planning.lengths import measure_lengths
from tests.pipeline.tiny_params import ROOT


def test_data_are_measured_with_the_bases_tokenizer(pipeline: Layout, tiny_folder: Path) -> None:
    params = load_params(pipeline.params)
    measured = measure_lengths(pipeline, params, tiny_folder)
    guessed = measure_lengths(pipeline, params, None)
    assert measured.prompt is not None
    assert guessed.prompt is not None
    assert measured.prompt > guessed.prompt  # the template is counted, and small tokens
    assert measured.sampled is None
    assert any("characters" in text for text in guessed.notes)
    assert not any("characters" in text for text in measured.notes)


def test_what_is_said_of_lengths_takes_the_place_of_what_is_not_known(tmp_path: Path) -> None:
    found = measure_lengths(Layout(tmp_path), load_params(ROOT / "params.yaml"), None)
    assert len(found.notes) == 2
    told = found.said(190, 250)
    assert (told.prompt, told.labelled, told.sampled, told.evaluated) == (190, 250, 250, 250)
    assert told.notes == ()
    assert [note[:6] for note in found.said(190, None).notes] == ["answer"]
    assert found.said(None, 250).notes[0].startswith("prompt lengths unknown")
