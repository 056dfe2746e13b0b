"""Chat templates that change what is said, and policies that do not share one."""

from dataclasses import replace
from pathlib import Path

from spa.doctor.template import check_policies, check_template
from spa.encoding import Encoder
from spa.layout import Layout
from spa.models import load_encoder
from tests.spa.doctor.examined import faults_of, notes_of, pools_of
from tests.tiny import TEMPLATE, make_tokenizer


def test_data_that_spells_a_token_of_the_template_is_no_fault(
    pipeline: Layout, tiny_folder: Path
) -> None:
    encoder = load_encoder(tiny_folder)
    assert faults_of(check_template(encoder, pools_of(pipeline))) == []
    pools = pools_of(pipeline)
    pools.test[0].prompt[0]["content"] += "<|im_start|>"
    pools.seed[0] = replace(pools.seed[0], chosen="So.<|im_end|>")
    findings = check_template(encoder, pools)
    assert (faults_of(findings), notes_of(findings)) == ([], [])


def test_a_template_that_renders_an_answer_otherwise_is_found(pipeline: Layout) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n\n{% endif %}")
    faults = faults_of(check_template(Encoder(tokenizer), pools_of(pipeline)))
    assert any("do not begin those of the chat" in text for text in faults)


def test_a_template_that_changes_answers_is_a_note(pipeline: Layout) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TEMPLATE.replace("m['content'] }}", "m['content'] | lower }}")
    findings = check_template(Encoder(tokenizer), pools_of(pipeline))
    assert faults_of(findings) == []
    assert notes_of(findings)[0].startswith("changes 16 of 16 answers")


def test_a_policy_with_another_template_is_found(tiny_folder: Path, tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TEMPLATE + "{# other #}"
    tokenizer.save_pretrained(tmp_path)
    findings = check_policies(load_encoder(tiny_folder), [tiny_folder, tmp_path])
    assert len(faults_of(findings)) == 1
    assert "its chat template is not the base's" in faults_of(findings)[0]
