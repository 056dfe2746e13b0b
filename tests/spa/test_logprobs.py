"""Log-probabilities of answers against a loop in float64, and what must not change them."""

import copy
import random

import pytest
import torch

from spa.encoding import TokenSequence
from spa.logprobs import answer_logits, by_length, make_batch, score, token_logprobs
from spa.models import Policy


def _sequences(count: int = 9) -> list[TokenSequence]:
    numbers = random.Random(0)
    return [
        TokenSequence(
            [numbers.randrange(2, 290) for _ in range(numbers.randrange(3, 12))],
            [numbers.randrange(2, 290) for _ in range(numbers.randrange(1, 20))],
        )
        for _ in range(count)
    ]


@torch.no_grad()
def _slow(model: torch.nn.Module, sequence: TokenSequence) -> list[float]:
    """Token by token, unbatched, in float64."""
    ids = sequence.prompt + sequence.answer
    logps = []
    for position in range(len(sequence.prompt), len(ids)):
        logits = model(input_ids=torch.tensor([ids[:position]])).logits[0, -1]
        logps.append(float(torch.log_softmax(logits.double(), -1)[ids[position]]))
    return logps


def test_scores_equal_a_loop_in_float64(tiny: Policy) -> None:
    exact = copy.deepcopy(tiny.model).double()
    for sequence, found in zip(
        _sequences(), score(tiny.model, _sequences(), token_budget=64), strict=True
    ):
        assert found == pytest.approx(_slow(exact, sequence), abs=1e-4)


@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_batch_size_and_padding_change_nothing(tiny: Policy, budget: int) -> None:
    alone = [score(tiny.model, [s], token_budget=1)[0] for s in _sequences()]
    together = score(tiny.model, _sequences(), token_budget=budget)
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_order_changes_nothing(tiny: Policy) -> None:
    sequences = _sequences()
    forward = score(tiny.model, sequences, token_budget=64)
    backward = score(tiny.model, sequences[::-1], token_budget=64)[::-1]
    for one, other in zip(forward, backward, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_an_empty_answer_scores_as_nothing(tiny: Policy) -> None:
    assert score(tiny.model, [TokenSequence([5, 6], [])], token_budget=9) == [[]]


def test_only_answer_tokens_are_targets() -> None:
    batch = make_batch(
        [TokenSequence([1, 2], [3]), TokenSequence([4, 5, 6], [7, 8])], torch.device("cpu")
    )
    assert batch.prefix.tolist() == [[]]
    assert batch.input_ids.tolist() == [[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]]
    assert batch.targets.tolist() == [[3, 0, 0], [6, 7, 8]]
    assert batch.mask.tolist() == [[True, False, False], [False, True, True]]


@pytest.mark.parametrize(
    ("prompts", "prefix"),
    [
        ([[1, 2, 3], [1, 2, 4]], [1, 2]),
        ([[1, 2, 3], [1, 2, 3]], [1, 2]),
        ([[1, 2], [1, 2, 3, 4]], [1]),
        ([[1], [1, 2]], []),
        ([[5, 2], [1, 2]], []),
        ([[1, 2, 3]], []),
    ],
)
def test_a_batch_shares_what_all_its_prompts_begin_with(
    prompts: list[list[int]], prefix: list[int]
) -> None:
    sequences = [TokenSequence(p, [9] * (i + 1)) for i, p in enumerate(prompts)]
    batch = make_batch(sequences, torch.device("cpu"))
    assert batch.prefix.tolist() == [prefix]
    for row, sequence in enumerate(sequences):
        ids = sequence.prompt + sequence.answer
        kept = batch.input_ids[row, : len(ids) - len(prefix)].tolist()
        assert prefix + kept == ids
        assert batch.targets[row][batch.mask[row]].tolist() == sequence.answer


def test_a_shared_prefix_changes_neither_scores_nor_gradients(tiny: Policy) -> None:
    numbers = random.Random(1)
    system = [numbers.randrange(2, 290) for _ in range(13)]
    sequences = [TokenSequence(system + s.prompt, s.answer) for s in _sequences(4)]
    gradients = []
    for parts in ([sequences], [[s] for s in sequences]):
        model = copy.deepcopy(tiny.model)
        total = torch.zeros(())
        for part in parts:
            batch = make_batch(part, torch.device("cpu"))
            assert batch.prefix.numel() == (13 if len(part) > 1 else 0)
            logps = token_logprobs(answer_logits(model, batch), batch.targets)
            total = total + (logps * batch.mask).sum()
        total.backward()
        gradients.append((total.detach(), [p.grad for p in model.parameters()]))
    torch.testing.assert_close(gradients[0][0], gradients[1][0])
    for shared, alone in zip(gradients[0][1], gradients[1][1], strict=True):
        torch.testing.assert_close(shared, alone, rtol=1e-3, atol=1e-5)


def test_token_logprobs_in_chunks_equal_log_softmax() -> None:
    logits, targets = torch.randn(3, 600, 13), torch.randint(13, (3, 600))
    expected = torch.log_softmax(logits, -1).gather(-1, targets[..., None])[..., 0]
    torch.testing.assert_close(token_logprobs(logits, targets), expected)


def test_batches_hold_every_item_once_within_the_budget() -> None:
    lengths = [3, 50, 7, 7, 20, 1]
    batches = list(by_length(lengths, token_budget=21))
    assert sorted(i for batch in batches for i in batch) == list(range(6))
    assert all(len(b) * max(lengths[i] for i in b) <= 21 for b in batches if len(b) > 1)
