"""The loss against hand-worked numbers."""

import torch
from torch.testing import assert_close

from spa.loss import answer_nll, dpo_margin, refined_loss

MARGIN = torch.tensor([0.0, 2.0, 2.0])
DOUBTED = torch.tensor([False, False, True])


def test_margin_is_beta_times_the_difference_of_log_ratios() -> None:
    """0.1 * ((-10 + 12) - (-20 + 17)) = 0.1 * (2 + 3)."""
    sums = [torch.tensor([x]) for x in (-10.0, -20.0, -12.0, -17.0)]
    assert_close(dpo_margin(*sums, beta=0.1), torch.tensor([0.5]))


def test_margin_changes_sign_when_the_answers_change_places() -> None:
    sums = [torch.randn(8) for _ in range(4)]
    swapped = [sums[1], sums[0], sums[3], sums[2]]
    assert_close(dpo_margin(*sums, beta=0.3), -dpo_margin(*swapped, beta=0.3))


def test_a_doubtful_pair_pays_alpha_times_its_margin_more() -> None:
    """L = softplus(-m) + alpha z m, so ln 2, 0.126928, and 0.126928 + 0.1 * 2."""
    losses = refined_loss(MARGIN, DOUBTED, alpha=0.1)
    assert_close(losses, torch.tensor([0.693147, 0.126928, 0.326928]))


def test_at_alpha_zero_the_loss_is_dpo_whatever_is_doubted() -> None:
    dpo = -torch.nn.functional.logsigmoid(MARGIN)
    assert_close(refined_loss(MARGIN, DOUBTED, alpha=0.0), dpo)


def test_doubt_lowers_the_gradient_of_an_undecided_pair_from_a_half_to_two_fifths() -> None:
    margin = torch.zeros(2, requires_grad=True)
    losses = refined_loss(margin, torch.tensor([False, True]), alpha=0.1)
    [gradient] = torch.autograd.grad(losses.sum(), margin)
    assert_close(gradient, torch.tensor([-0.5, -0.4]))


def test_likelihood_is_per_token() -> None:
    """-(-3) / 2 = 1.5 and -(-4) / 1 = 4; each token of two carries half the gradient."""
    logprobs = torch.tensor([-3.0, -4.0], requires_grad=True)
    losses = answer_nll(logprobs, torch.tensor([2, 1]))
    assert_close(losses, torch.tensor([1.5, 4.0]))
    [gradient] = torch.autograd.grad(losses.sum(), logprobs)
    assert_close(gradient, torch.tensor([-0.5, -1.0]))
