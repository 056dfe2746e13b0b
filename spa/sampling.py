"""Drawing tokens: a draw depends on its sample and position alone, never on its neighbours."""

from torch import Tensor

_HEAD = 128


def draw(logits: Tensor, uniforms: Tensor, *, temperature: float) -> Tensor:
    """Draw one token per row by inverting the cumulative distribution.

    Tokens are laid out from the most to the least probable, so that rounding of the logits
    moves a draw across a border as rarely as can be. Only the most probable tokens are
    sorted; the few draws beyond them sort their whole row.

    Args:
        logits: (B, V) float32.
        uniforms: (B,) float64 in [0, 1), one number per row.
        temperature: above 0; the distribution is softmax(logits / temperature).

    Returns:
        (B,) token ids.
    """
    scaled = logits / temperature
    log_norm = scaled.logsumexp(-1, keepdim=True)
    head = min(_HEAD, logits.shape[-1])
    tokens, beyond = _invert(*scaled.topk(head), log_norm, uniforms)
    if beyond.any():
        rest = scaled[beyond].sort(descending=True, stable=True)
        tokens[beyond], _ = _invert(*rest, log_norm[beyond], uniforms[beyond])
    return tokens


def _invert(
    values: Tensor, order: Tensor, log_norm: Tensor, uniforms: Tensor
) -> tuple[Tensor, Tensor]:
    """Tokens at the quantiles `uniforms`, and which rows' quantile lies beyond `values`."""
    cumulative = (values - log_norm).double().exp().cumsum(-1)
    index = (cumulative <= uniforms.unsqueeze(-1)).sum(-1, keepdim=True)
    beyond = index.squeeze(-1) >= values.shape[-1]
    inside = index.clamp(max=values.shape[-1] - 1)
    return order.gather(-1, inside).squeeze(-1), beyond
