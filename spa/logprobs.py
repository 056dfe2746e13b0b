"""The only way from logits to log-probabilities of answers.

Sequences are padded on the right and carry no attention mask: under a causal model no
token sees what follows it, so padding can neither change a result nor be told from text
by the pad token's id. Only the logits that predict answer tokens are ever computed, and
what all prompts of a batch begin with (a system turn, or the whole prompt of a pair) is
read once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spa.chunks import Keep, anew
from spa.encoding import TokenSequence
from spa.memory import smaller

_ROWS = 512


@dataclass(frozen=True)
class Batch:
    """Sequences as a shared prefix and a rectangle; B rows, L tokens, A answer positions kept.

    Attributes:
        prefix: (1, C) tokens that all prompts begin with; never a whole prompt, C may be 0.
        input_ids: (B, L) the tokens after the prefix, right-padded with 0.
        targets: (B, A) the answer token that each kept position predicts, 0 where none.
        mask: (B, A) True where a target is a real answer token.
        keep: how many positions at the end of L the kept logits stand for; A = keep - 1.
    """

    prefix: Tensor
    input_ids: Tensor
    targets: Tensor
    mask: Tensor
    keep: int


def make_batch(sequences: Sequence[TokenSequence], device: torch.device) -> Batch:
    """Pad sequences to one rectangle behind the prefix that they share (see `Batch`)."""
    prefix = shared_prefix([s.prompt for s in sequences])
    shared = len(prefix)
    length = max(len(s) for s in sequences) - shared
    first = min(len(s.prompt) for s in sequences) - shared
    input_ids = torch.zeros(len(sequences), length, dtype=torch.long)
    mask = torch.zeros(len(sequences), length, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        end = len(sequence) - shared
        input_ids[row, :end] = torch.tensor((sequence.prompt + sequence.answer)[shared:])
        mask[row, len(sequence.prompt) - shared : end] = True
    return Batch(
        prefix=torch.tensor([prefix], dtype=torch.long, device=device),
        input_ids=input_ids.to(device),
        targets=input_ids[:, first:].to(device),
        mask=mask[:, first:].to(device),
        keep=length - first + 1,
    )


def shared_prefix(prompts: Sequence[list[int]]) -> list[int]:
    """What all prompts begin with; a last token stays out, as it predicts the first answer's."""
    low, high = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1 if len(prompts) > 1 else 0
    return low[: next((i for i in range(most) if low[i] != high[i]), most)]


def read_prefix(model: Any, prefix: Tensor, rows: int) -> Any:
    """The cache of a prefix (1, C) read once, for a batch of `rows`; None where C is 0."""
    if not prefix.numel():
        return None
    past = model(input_ids=prefix, use_cache=True, logits_to_keep=1).past_key_values
    past.batch_repeat_interleave(rows)
    return past


def answer_logits(model: Any, batch: Batch) -> Tensor:
    """Logits that predict the answers' tokens, (B, A, V), in the model's dtype."""
    past = read_prefix(model, batch.prefix, len(batch.input_ids))
    output = model(
        input_ids=batch.input_ids,
        past_key_values=past,
        use_cache=past is not None,
        logits_to_keep=batch.keep,
    )
    return output.logits[:, :-1]  # type: ignore[no-any-return]


def token_logprobs(logits: Tensor, targets: Tensor) -> Tensor:
    """log softmax(logits)[target], in float32 nats.

    Works through the rows in chunks, so that no float32 copy of all logits exists.

    Args:
        logits: (..., V), any float dtype; carries gradient.
        targets: (...), token ids.

    Returns:
        (...) log-probabilities, each <= 0 up to rounding.
    """
    flat, wanted = logits.flatten(0, -2), targets.flatten()
    parts = [
        rows.gather(-1, ids.unsqueeze(-1)).squeeze(-1) - rows.logsumexp(-1)
        for chunk, ids in zip(torch.split(flat, _ROWS), torch.split(wanted, _ROWS), strict=True)
        for rows in [chunk.float()]
    ]
    return torch.cat(parts).view(targets.shape)


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
    rows = iter(_in_batches([len(s) for s in filled], token_budget, read, progress))
    return [next(rows) if s.answer else [] for s in sequences]


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


def _answer_logps(model: Any, sequences: Sequence[TokenSequence]) -> list[list[float]]:
    batch = make_batch(sequences, model.device)
    logps = token_logprobs(answer_logits(model, batch), batch.targets).cpu()
    return [row[mask].tolist() for row, mask in zip(logps, batch.mask.cpu(), strict=True)]


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
        logits = answer_logits(model, batch)[batch.mask].float().log_softmax(-1)
        rows: list[list[float]] = logits[:, list(tokens)].cpu().tolist()
        return rows

    return _in_batches([len(p) + 1 for p in prompts], token_budget, read, progress)
