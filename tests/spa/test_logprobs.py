"""Log-probabilities of answers against a loop in float64, and what must not change them."""

import copy

import pytest
import torch

from spa.encoding import TokenSequence
from spa.logprobs import by_length, next_token_logprobs, score, token_logprobs
from spa.models import Policy
from tests.spa.token_sequences import answers_to_one, sequences


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
    asked = [*sequences(), *answers_to_one()]
    for sequence, found in zip(asked, score(tiny.model, asked, token_budget=64), strict=True):
        assert found == pytest.approx(_slow(exact, sequence), abs=1e-4)


@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_batch_size_and_padding_change_nothing(tiny: Policy, budget: int) -> None:
    asked = [*sequences(), *answers_to_one()]
    alone = [score(tiny.model, [s], token_budget=1)[0] for s in asked]
    together = score(tiny.model, asked, token_budget=budget)
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_order_changes_nothing(tiny: Policy) -> None:
    asked = [s for both in zip(sequences(), answers_to_one(), strict=False) for s in both]
    forward = score(tiny.model, asked, token_budget=64)
    backward = score(tiny.model, asked[::-1], token_budget=64)[::-1]
    for one, other in zip(forward, backward, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_an_empty_answer_scores_as_nothing(tiny: Policy) -> None:
    assert score(tiny.model, [TokenSequence([5, 6], [])], token_budget=9) == [[]]


def test_token_logprobs_in_chunks_equal_log_softmax() -> None:
    logits, targets = torch.randn(3, 600, 13), torch.randint(13, (3, 600))
    expected = torch.log_softmax(logits, -1).gather(-1, targets[..., None])[..., 0]
    torch.testing.assert_close(token_logprobs(logits, targets), expected)


def _by_autograd(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(logits.float(), -1).gather(-1, targets[..., None])[..., 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_in_chunks_is_that_of_log_softmax(dtype: torch.dtype) -> None:
    start, targets = torch.randn(3, 600, 13, dtype=dtype), torch.randint(13, (3, 600))
    weights, found = torch.randn(3, 600), []
    for logprobs in (token_logprobs, _by_autograd):
        leaf = start.clone().requires_grad_()
        torch.autograd.backward((logprobs(leaf.clone(), targets) * weights).sum())
        assert leaf.grad is not None
        assert leaf.grad.dtype == dtype
        found.append(leaf.grad)
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_takes_the_place_of_the_logits(dtype: torch.dtype) -> None:
    leaf = torch.randn(600, 13, dtype=dtype, requires_grad=True)
    logits = leaf.clone()
    torch.autograd.backward(token_logprobs(logits, torch.randint(13, (600,))).sum())
    torch.testing.assert_close(logits, leaf.grad, rtol=0, atol=0)


def test_logits_that_are_needed_after_it_cannot_be_mistaken_for_it() -> None:
    logits = torch.randn(5, 13, requires_grad=True).clone()
    also = (logits * logits).sum()  # its gradient needs them
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.backward(also + token_logprobs(logits, torch.randint(13, (5,))).sum())


def test_no_copy_of_all_logits_waits_for_the_gradient() -> None:
    kept: list[torch.Tensor] = []
    logits = torch.randn(600, 13, dtype=torch.bfloat16, requires_grad=True)

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        token_logprobs(logits, torch.randint(13, (600,)))
    wide = [tensor for tensor in kept if tensor.numel() > 2 * len(logits)]
    assert [tensor.dtype for tensor in wide] == [torch.bfloat16]


def test_batches_hold_every_item_once_within_the_budget() -> None:
    lengths = [3, 50, 7, 7, 20, 1]
    batches = list(by_length(lengths, token_budget=21))
    assert sorted(i for batch in batches for i in batch) == list(range(6))
    assert all(len(b) * max(lengths[i] for i in b) <= 21 for b in batches if len(b) > 1)


def test_logits_of_half_precision_are_read_in_float32() -> None:
    logits, targets = torch.randn(5, 13).bfloat16(), torch.randint(13, (5,))
    found = token_logprobs(logits, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, token_logprobs(logits.float(), targets))


def test_tokens_that_may_follow_are_told_in_the_order_asked(tiny: Policy) -> None:
    prompts, tokens = [[5, 6, 7, 8], [9, 4]], [40, 7, 21]
    found = next_token_logprobs(tiny.model, prompts, tokens, token_budget=4)
    for prompt, own in zip(prompts, found, strict=True):
        with torch.no_grad():
            last = tiny.model(input_ids=torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
        assert own == pytest.approx([float(last[token]) for token in tokens], abs=1e-5)
