"""The only way from logits to log-probabilities of answers.

Only the logits that predict answer tokens are ever computed, and no prompt is read twice
(`spa.batches`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spa.batches import answer_logits, make_batch, row_limit
from spa.chunks import Keep, anew
from spa.encoding import TokenSequence
from spa.memory import smaller

_ROWS = 64
_LEAST_SAVING = 0.2
"""Of the tokens of a batch: for less, what prompts begin with is not read apart."""


def token_logprobs(logits: Tensor, targets: Tensor) -> Tensor:
    """log softmax(logits)[target], in float32 nats.

    Works through the rows in chunks, forward and backward, so that no float32 copy of all logits
    exists. The backward pass writes their gradient over the logits: nothing may need them then
    (autograd says so where something does).

    Args:
        logits: (..., V), any float dtype; carries gradient, once.
        targets: (...), token ids.

    Returns:
        (...) log-probabilities, each <= 0 up to rounding.
    """
    found: Tensor = _TokenLogprobs.apply(  # type: ignore[no-untyped-call]
        logits.flatten(0, -2), targets.flatten()
    )
    return found.view(targets.shape)


def _chunks(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    return [torch.split(tensor, _ROWS) for tensor in tensors]


class _TokenLogprobs(torch.autograd.Function):
    """Of logits (N, V) and targets (N,); autograd by itself would keep float32 rows to the end."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        values, log_z = [], []
        for chunk, ids in zip(*_chunks(logits, targets), strict=True):
            rows = chunk.float()
            log_z.append(rows.logsumexp(-1))
            values.append(rows.gather(-1, ids.unsqueeze(-1)).squeeze(-1) - log_z[-1])
        ctx.save_for_backward(logits, targets, torch.cat(log_z))
        return torch.cat(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """(one_hot(target) - softmax(logits)) times each log-probability's gradient, in place."""
        logits, targets, log_z = ctx.saved_tensors
        tensors = (logits, targets.unsqueeze(-1), log_z.unsqueeze(-1), grad.unsqueeze(-1))
        for chunk, ids, own_z, own in zip(*_chunks(*tensors), strict=True):
            rows = chunk if chunk.dtype == torch.float32 else chunk.float()
            rows.sub_(own_z).exp_().mul_(-own).scatter_add_(-1, ids, own)
            if rows is not chunk:
                chunk.copy_(rows)
        return logits, None


def by_length(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Cut items into batches of like length whose padded size stays within a budget.

    Yields lists of positions; an item longer than the budget is a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > token_budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@torch.no_grad()
def score(
    model: Any,
    sequences: Sequence[TokenSequence],
    *,
    token_budget: int,
    progress: str | None = None,
    keep: Keep = anew,
) -> list[list[float]]:
    """Log-probability of every answer token under `model`, at temperature 1, in nats.

    Args:
        model: a causal language model in evaluation mode.
        sequences: prompts with answers; an empty answer scores as an empty list.
        token_budget: most tokens, padding included, in one forward pass.
        progress: name of the progress bar; none is shown where it is None or where
            standard error is not a terminal.
        keep: gives batches that were read before.

    Returns:
        One list per sequence, in the order given, one number per answer token.

    Raises:
        ModelError: memory does not hold one sequence.
    """

    def read(places: list[int]) -> list[list[float]]:
        batch = [filled[place] for place in places]
        work = [[s.prompt, s.answer] for s in batch]
        return keep(work, lambda: _answer_logps(model, batch))

    filled = [s for s in sequences if s.answer]
    longest: dict[tuple[int, ...], int] = {}
    for s in filled:
        longest[tuple(s.prompt)] = max(longest.get(tuple(s.prompt), 0), len(s))
    lengths = [longest[tuple(s.prompt)] for s in filled]  # so that a prompt's answers meet
    rows = iter(_in_batches(lengths, token_budget, read, progress))
    return [next(rows) if s.answer else [] for s in sequences]


def _answer_logps(model: Any, sequences: Sequence[TokenSequence]) -> list[list[float]]:
    batch = make_batch(sequences, model.device, most=row_limit(model), least_saving=_LEAST_SAVING)
    return batch.rows(token_logprobs(answer_logits(model, batch), batch.targets))


def _in_batches(
    lengths: Sequence[int],
    token_budget: int,
    read: Callable[[list[int]], list[list[float]]],
    progress: str | None,
) -> list[list[float]]:
    """What `read` gives for every item, in order; it gets the places of some of them at a time."""
    from tqdm import tqdm

    rows: dict[int, list[float]] = {}
    quiet = None if progress else True
    with tqdm(total=len(lengths), desc=progress, unit="answer", disable=quiet) as bar:
        while left := [place for place in range(len(lengths)) if place not in rows]:
            for part in by_length([lengths[place] for place in left], token_budget):
                places = [left[index] for index in part]
                try:
                    found = read(places)
                except (RuntimeError, MemoryError) as error:
                    token_budget = smaller(error, token_budget, "score_tokens", pieces=len(places))
                    break
                rows.update(zip(places, found, strict=True))
                bar.update(len(places))
    return [rows[place] for place in range(len(lengths))]


@torch.no_grad()
def next_token_logprobs(
    model: Any,
    prompts: Sequence[list[int]],
    tokens: Sequence[int],
    *,
    token_budget: int,
    progress: str | None = None,
) -> list[list[float]]:
    """Log-probability of each of a few tokens as the one that follows each prompt, in nats.

    Args:
        model: a causal language model in evaluation mode.
        prompts: token ids, none empty.
        tokens: what may follow.
        token_budget: as for `score`.
        progress: as for `score`.

    Returns:
        One list per prompt, in the order given, one number per token.
    """

    def read(places: list[int]) -> list[list[float]]:
        sequences = [TokenSequence(prompts[place], [tokens[0]]) for place in places]
        batch = make_batch(sequences, model.device)
        logits = answer_logits(model, batch)[batch.owner >= 0].float().log_softmax(-1)
        rows: list[list[float]] = logits[:, list(tokens)].cpu().tolist()
        return rows

    return _in_batches([len(p) + 1 for p in prompts], token_budget, read, progress)
