"""Text to tokens: one template, one end-of-turn, prompts that are prefixes."""

import pytest

from spa.encoding import Encoder, render
from spa.errors import ModelError
from spa.models import Policy
from spa.records import Message
from tests.tiny import make_tokenizer

TURNS: list[Message] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why does bread rise?"},
]


def test_prompt_and_answer_together_are_the_template_of_the_whole(tiny: Policy) -> None:
    encoder = tiny.encoder
    whole = encoder.tokenizer.apply_chat_template(
        [*TURNS, {"role": "assistant", "content": "Yeast makes gas."}], return_dict=True
    )["input_ids"]
    sequence = encoder.sequence(TURNS, "Yeast makes gas.", "stop")
    ours = sequence.prompt + sequence.answer
    assert whole[: len(ours)] == ours
    assert encoder.tokenizer.decode(whole[len(ours) :]) == "\n"


def test_a_finished_answer_has_one_end_of_turn_and_a_cut_one_none(tiny: Policy) -> None:
    encoder = tiny.encoder
    for reason, count in (("stop", 1), ("length", 0)):
        ids = encoder.answer("Yeast makes gas.", reason)  # type: ignore[arg-type]
        assert ids.count(encoder.end_of_turn) == count
    assert encoder.answer("", "stop") == [encoder.end_of_turn]


def test_the_end_of_turn_is_the_templates_and_not_just_any_eos() -> None:
    tokenizer = make_tokenizer()
    tokenizer.eos_token = "<|im_start|>"
    assert Encoder(tokenizer).end_of_turn == tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_decoding_leaves_special_tokens_out(tiny: Policy) -> None:
    ids = tiny.encoder.answer("Yeast makes gas.", "stop")
    assert tiny.encoder.decode(ids) == "Yeast makes gas."


def test_a_tokenizer_without_a_chat_template_is_refused() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="has no chat template"):
        Encoder(tokenizer)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ messages[0].content.nothing() }}", "nothing"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages | sum }}", "unsupported operand"),
        ("{{ raise_exception('no system turns') }}", "no system turns"),
    ],
)
def test_a_template_that_fails_in_any_way_is_one_clear_error(
    tiny: Policy, template: str, said: str
) -> None:
    tokenizer = tiny.encoder.tokenizer
    tokenizer.chat_template = template
    with pytest.raises(ModelError, match=rf"its chat template fails: .*{said}.*; wanted one that"):
        render(tokenizer, [{"role": "user", "content": "Why?"}], tokenize=False)
