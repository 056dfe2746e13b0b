"""The detector's extrapolated log-probabilities against slow, plain code."""

import torch
from torch.testing import assert_close

from spa.extrapolation import extrapolated_logprobs
from spa.logprobs import token_logprobs


def _logits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    policy, reference = (torch.randn(3, 7, 11, generator=random) for _ in range(2))
    return policy, reference, torch.randint(11, (3, 7), generator=random)


def test_at_lambda_zero_it_is_the_policy() -> None:
    policy, reference, targets = _logits()
    found = extrapolated_logprobs(policy, reference, targets, lambda_=0.0)
    assert_close(found, token_logprobs(policy, targets))


def test_the_softmax_is_of_the_mixed_logits() -> None:
    policy, reference, targets = _logits()
    mixed = torch.log_softmax(1.5 * policy.double() - 0.5 * reference.double(), -1)
    slow = mixed.gather(-1, targets[..., None])[..., 0].float()
    assert_close(extrapolated_logprobs(policy, reference, targets, lambda_=0.5), slow)


def test_log_z_identity() -> None:
    """log p~ = (1 + l) log p - l log p_ref - log Z, Z = sum_v p^(1+l) p_ref^-l, log Z >= 0.

    So the extrapolated margin is (1 + l) margin - (sum log Z_w - sum log Z_l).
    """
    policy, reference, targets = (t.double() if t.is_floating_point() else t for t in _logits())
    weight = 0.25
    log_p, log_r = torch.log_softmax(policy, -1), torch.log_softmax(reference, -1)
    log_z = torch.logsumexp((1 + weight) * log_p - weight * log_r, -1)
    assert (log_z >= 0).all()
    of_target = [x.gather(-1, targets[..., None])[..., 0] for x in (log_p, log_r)]
    expected = (1 + weight) * of_target[0] - weight * of_target[1] - log_z
    found = extrapolated_logprobs(policy, reference, targets, lambda_=weight)
    assert_close(found, expected.float(), atol=1e-5, rtol=1e-5)


def test_no_gradient_passes() -> None:
    policy, reference, targets = _logits()
    policy.requires_grad_()
    assert not extrapolated_logprobs(policy, reference, targets, lambda_=0.5).requires_grad


def test_logits_of_half_precision_are_mixed_in_float32() -> None:
    policy, reference, targets = _logits()
    policy, reference = policy.bfloat16(), reference.bfloat16()
    found = extrapolated_logprobs(policy, reference, targets, lambda_=0.5)
    wanted = extrapolated_logprobs(policy.float(), reference.float(), targets, lambda_=0.5)
    assert found.dtype == torch.float32
    assert_close(found, wanted)
