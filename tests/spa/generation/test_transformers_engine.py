"""The engine: one seed per answer, and log-probabilities that the scorer confirms."""

import pytest

from spa.encoding import TokenSequence
from spa.generation.engine import Request
from spa.generation.transformers_engine import TransformersEngine
from spa.logprobs import score
from spa.models import Policy
from spa.seeds import derive_seed


def _requests(policy: Policy, count: int = 7) -> list[Request]:
    prompts = ["Why?", "How do plants drink water?", "What makes the sky so very blue today?"]
    return [
        Request(
            policy.encoder.prompt([{"role": "user", "content": prompts[i % 3]}]),
            derive_seed(1, "test", i),
        )
        for i in range(count)
    ]


def _engine(policy: Policy, batch: int, temperature: float = 1.0) -> TransformersEngine:
    return TransformersEngine(policy, temperature=temperature, max_new_tokens=24, batch=batch)


@pytest.mark.parametrize("batch", [1, 2, 3, 16])
def test_neither_batch_size_nor_neighbours_change_an_answer(tiny: Policy, batch: int) -> None:
    requests = _requests(tiny)
    expected = _engine(tiny, 4).complete(requests)
    assert [c.tokens for c in _engine(tiny, batch).complete(requests)] == [
        c.tokens for c in expected
    ]


def test_order_changes_nothing(tiny: Policy) -> None:
    requests = _requests(tiny)
    forward = _engine(tiny, 3).complete(requests)
    backward = _engine(tiny, 3).complete(requests[::-1])[::-1]
    assert forward == backward


def test_what_all_prompts_begin_with_is_read_once(tiny: Policy) -> None:
    system = {"role": "system", "content": "Answer as briefly as you can. " * 5}
    prompts = [
        tiny.encoder.prompt([system, {"role": "user", "content": text}])
        for text in ("Why?", "Who?")
    ]
    requests = [Request(prompts[i % 2], derive_seed(2, "test", i)) for i in range(8)]
    read: list[int] = []
    hook = tiny.model.get_input_embeddings().register_forward_pre_hook(
        lambda _, inputs: read.append(inputs[0].numel())
    )
    together = TransformersEngine(tiny, temperature=1.0, max_new_tokens=1, batch=8)
    answers = together.complete(requests)
    hook.remove()
    assert sum(read) < 2 * len(prompts[0]) + 8 * 16 < 8 * len(prompts[0])
    alone = TransformersEngine(tiny, temperature=1.0, max_new_tokens=1, batch=1)
    assert [a.tokens for a in answers] == [a.tokens for a in alone.complete(requests)]


def test_another_seed_gives_another_answer(tiny: Policy) -> None:
    [request] = _requests(tiny, 1)
    answers = [
        _engine(tiny, 1).complete([Request(request.prompt, seed)])[0].tokens for seed in range(4)
    ]
    assert len({tuple(tokens) for tokens in answers}) == 4


def test_log_probabilities_are_the_models_own_at_temperature_one(tiny: Policy) -> None:
    requests = _requests(tiny)
    completions = _engine(tiny, 4, temperature=0.5).complete(requests)
    sequences = [
        TokenSequence(request.prompt, c.tokens)
        for request, c in zip(requests, completions, strict=True)
    ]
    for completion, row in zip(
        completions, score(tiny.model, sequences, token_budget=512), strict=True
    ):
        assert completion.logprobs == pytest.approx(row, abs=1e-4)


def test_a_finished_answer_ends_with_its_stop_token_and_a_cut_one_has_none(tiny: Policy) -> None:
    completions = _engine(tiny, 16, temperature=3.0).complete(_requests(tiny, 200))
    finished = [c for c in completions if c.finished]
    cut = [c for c in completions if not c.finished]
    assert finished
    assert cut
    stops = set(tiny.stop_tokens)
    assert all(c.tokens[-1] in stops and not stops & set(c.tokens[:-1]) for c in finished)
    assert all(len(c.tokens) == 24 and not stops & set(c.tokens) for c in cut)
