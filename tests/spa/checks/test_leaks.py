"""Template leaks, rule by rule; tests/spa/checks/test_fault_file.py measures them as a whole."""

import time

import pytest

from spa.checks.leaks import template_leaks
from tests.spa.checks.leak_texts import GOOD, LEAKS


@pytest.mark.parametrize("text", LEAKS[:-1])
def test_template_tokens_and_new_turns_are_leaks(text: str) -> None:
    assert template_leaks(text) >= 1


@pytest.mark.parametrize("text", GOOD[:-2])
def test_code_struck_text_and_what_is_spoken_of_are_none(text: str) -> None:
    assert template_leaks(text) == 0


def test_leaks_are_counted() -> None:
    """Two tokens, one opening of a turn, and a sentence's end after struck text."""
    assert template_leaks("<s>old</s> new<|im_end|><bos>\nHuman: more</s>") == 4


@pytest.mark.parametrize("piece", ["`", "~", "<s>", "“", '"', "\n", " ", "<|a", "[", "<", "```\n"])
def test_no_text_takes_long(piece: str) -> None:
    start = time.perf_counter()
    template_leaks(f"a\n{piece * (100_000 // len(piece))}")
    assert time.perf_counter() - start < 2
