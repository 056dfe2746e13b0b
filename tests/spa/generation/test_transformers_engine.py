"""What the transformers engine does beyond the contract of test_engines.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from spa.generation.engine import Request
from spa.generation.transformers_engine import TransformersEngine
from spa.models import Policy
from spa.records import Message
from spa.seeds import derive_seed
from tests.spa.generation.questions import make_requests


def _engine(policy: Policy, batch: int, temperature: float = 1.0) -> TransformersEngine:
    return TransformersEngine(policy, temperature=temperature, max_new_tokens=24, batch=batch)


@contextmanager
def _counted(policy: Policy) -> Iterator[list[int]]:
    """How many tokens each forward pass of the model reads, padding included."""
    read: list[int] = []
    hook = policy.model.get_input_embeddings().register_forward_pre_hook(
        lambda _, inputs: read.append(inputs[0].numel())
    )
    yield read
    hook.remove()


@pytest.mark.parametrize("batch", [1, 2, 3, 16])
def test_neither_batch_size_nor_neighbours_change_an_answer(tiny: Policy, batch: int) -> None:
    requests = make_requests(tiny)
    expected = _engine(tiny, 4).complete(requests)
    assert [c.tokens for c in _engine(tiny, batch).complete(requests)] == [
        c.tokens for c in expected
    ]


def test_what_all_prompts_begin_with_is_read_once(tiny: Policy) -> None:
    system: Message = {"role": "system", "content": "Answer as briefly as you can. " * 5}
    prompts = [
        tiny.encoder.prompt([system, {"role": "user", "content": text}])
        for text in ("Why?", "Who?")
    ]
    requests = [Request(prompts[i % 2], derive_seed(2, "test", i)) for i in range(8)]
    together = TransformersEngine(tiny, temperature=1.0, max_new_tokens=1, batch=8)
    with _counted(tiny) as read:
        answers = together.complete(requests)
    assert sum(read) < 2 * len(prompts[0]) + 8 * 16 < 8 * len(prompts[0])
    alone = TransformersEngine(tiny, temperature=1.0, max_new_tokens=1, batch=1)
    assert [a.tokens for a in answers] == [a.tokens for a in alone.complete(requests)]


def test_a_prompt_is_read_once_for_all_of_its_answers(tiny: Policy) -> None:
    prompts = [[5, 6, 7, 8], [9, 8, 7, 6, 5, 4, 3, 2], [4]]
    requests = [Request(prompts[i % 3], derive_seed(2, "test", i)) for i in range(24)]
    together = TransformersEngine(tiny, temperature=1.0, max_new_tokens=1, batch=24)
    with _counted(tiny) as read:
        answers = together.complete(requests)
    assert read == [3 * 15, 24]  # each prompt, padded, but for its last token; that for each answer
    alone = _engine(tiny, 1).complete(requests)
    for got, wanted in zip(answers, alone, strict=True):
        assert got.tokens == wanted.tokens[:1]
        assert got.logprobs == pytest.approx(wanted.logprobs[:1], abs=1e-5)


def test_ended_answers_are_read_no_further_and_none_changes(tiny: Policy) -> None:
    requests = [Request([1, 2, 3], derive_seed(2, "test", i)) for i in range(40)]
    vocabulary = tiny.model.config.vocab_size
    hasty = replace(tiny, stop_tokens=tuple(range(0, vocabulary, 12)))
    with _counted(tiny) as read:
        together = _engine(hasty, 40).complete(requests)
    lengths = [len(answer.tokens) for answer in together]
    assert min(lengths) < 6
    assert {answer.finished for answer in together} == {True, False}
    drawn_from = sum(read) - 15 - 40  # the prompt, padded, and its last token for every answer
    assert sum(lengths) - 40 < drawn_from < 0.7 * 40 * 24
    for got, wanted in zip(together, _engine(hasty, 1).complete(requests), strict=True):
        assert got.tokens == wanted.tokens
        assert got.logprobs == pytest.approx(wanted.logprobs, abs=1e-5)
