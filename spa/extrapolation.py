"""The de-coupled noise detector: log-probabilities of a simulated, further trained policy."""

import torch
from torch import Tensor

from spa.logprobs import token_logprobs

_ROWS = 64


@torch.no_grad()
def extrapolated_logprobs(
    policy_logits: Tensor, reference_logits: Tensor, targets: Tensor, *, lambda_: float
) -> Tensor:
    """Log-probabilities of tokens under logits extrapolated from reference beyond policy.

        h~ = (1 + lambda) h_policy - lambda h_reference,  log softmax(h~)[target]

    They decide which labels are doubted, and nothing else; no gradient passes.

    Args:
        policy_logits: (..., V).
        reference_logits: (..., V).
        targets: (...), token ids.
        lambda_: how far beyond the policy; 0 is the policy itself.

    Returns:
        (...) float32, nats.

    Source: SPA, arXiv:2406.04412, section 4.3, Eq. 11-12.
    """
    policy, reference = policy_logits.flatten(0, -2), reference_logits.flatten(0, -2)
    parts = [
        token_logprobs((1 + lambda_) * p.float() - lambda_ * r.float(), ids)
        for p, r, ids in zip(
            torch.split(policy, _ROWS),
            torch.split(reference, _ROWS),
            torch.split(targets.flatten(), _ROWS),
            strict=True,
        )
    ]
    return torch.cat(parts).view(targets.shape)
