"""SPA's loss: DPO whose label is softened where the detector doubts it. Losses have shape (B,)."""

from torch import Tensor
from torch.nn import functional as F


def dpo_margin(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float,
) -> Tensor:
    """beta * [(log pi(y_w) - log ref(y_w)) - (log pi(y_l) - log ref(y_l))].

    Args:
        chosen: log-probability of the chosen answer under the policy, in nats, summed over
            its tokens, not divided by its length; carries gradient.
        rejected: the same of the rejected answer.
        reference_chosen: the same of the chosen answer under the reference; no gradient.
        reference_rejected: the same of the rejected answer.
        beta: scale of the rewards.

    Source: DPO, arXiv:2305.18290, Eq. 7; the argument of sigma in SPA, arXiv:2406.04412, Eq. 6.
    """
    return beta * ((chosen - reference_chosen) - (rejected - reference_rejected))


def refined_loss(margin: Tensor, flagged: Tensor, *, alpha: float) -> Tensor:
    """Per-pair loss whose label is softened where it is doubted.

        L = -(1 - alpha z) log sigma(margin) - alpha z log sigma(-margin)

    Args:
        margin: as `dpo_margin` gives it; carries gradient.
        flagged: bool, z = 1: the label is doubted.
        alpha: share of a doubtful label given to the other side, in [0, 0.5]; 0 is DPO.

    Source: SPA, arXiv:2406.04412, section 4.2, Eq. 9-10.
    """
    flip = alpha * flagged.to(margin.dtype)
    return -(1 - flip) * F.logsigmoid(margin) - flip * F.logsigmoid(-margin)


def answer_nll(logprobs: Tensor, lengths: Tensor) -> Tensor:
    """Negative log-likelihood per token of each answer, in nats, (B,).

    DPO is content where the chosen answer loses likelihood, as long as the rejected one loses
    more; what both lose goes to answers that nobody has read. This term, weighed by
    `train.nll_weight`, keeps the chosen answers likely. It is no part of SPA (weight 0).

    Args:
        logprobs: log-probabilities of the answers, in nats, summed over their tokens; carries
            gradient.
        lengths: how many tokens each has, at least one.

    Source: Iterative RPO, arXiv:2404.19733, Eq. 1.
    """
    return -logprobs / lengths
