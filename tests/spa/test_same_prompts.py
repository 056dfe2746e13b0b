"""Which prompts are the same."""

import pytest

from spa.records import Message
from spa.same_prompts import prompt_key

ASKED: list[Message] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why does bread rise?"},
]


def _asked(system: str, question: str) -> list[Message]:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


@pytest.mark.parametrize(
    "question",
    [
        "why does BREAD rise?",
        " Why  does bread\nrise? ",
        "Why does bread rise",
        "Why does bread rise ?!",
        "Why does bread rise...",
        "Why does bread rise\uff1f",
        "\uff37hy does bread rise\u00a0\u061f",
    ],
)
def test_case_blanks_form_and_final_punctuation_make_no_other_prompt(question: str) -> None:
    assert prompt_key(_asked("Be brief", question)) == prompt_key(ASKED)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("What is C?", "What is C#?"),
        ("What is C?", "What is C++?"),
        ("Sum (a, b)", "Sum (a, b"),
        ("Why does bread, rise?", "Why does bread rise?"),
        ("?", "!"),
    ],
)
def test_other_signs_do(first: str, second: str) -> None:
    assert prompt_key(_asked("", first)) != prompt_key(_asked("", second))


def test_so_does_another_turn_or_role() -> None:
    assert prompt_key(ASKED) != prompt_key(ASKED[1:])
    assert prompt_key(_asked("Be kind.", "Why does bread rise?")) != prompt_key(ASKED)
