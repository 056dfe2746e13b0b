"""Rectangles of tokens that a model reads: prompts with their answers, none read twice.

Sequences are padded on the right, and under a causal model no token sees what follows it, so
padding can neither change a result nor be told from text by the pad token's id. What all
prompts of a batch begin with (a system turn, or a prompt common to all) is read once, and so is
the prompt of several answers: they stand in one row behind it and do not see each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from spa.encoding import TokenSequence
from spa.errors import ModelError

ROW = 1024
"""Most tokens of a row with several answers; in longer ones attention costs more than it saves."""

_CLOSE = 5e-4  # nats of a token; two ways of reading it differ by rounding alone
_joining: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


@dataclass(frozen=True)
class Batch:
    """Sequences as a shared prefix and a rectangle; B rows, L tokens, A positions with logits.

    Attributes:
        prefix: (1, C) tokens that all prompts begin with; never a whole prompt, C may be 0.
        input_ids: (B, L) the tokens after the prefix, right-padded with 0. An answer's last
            token predicts nothing and is not there.
        positions: (B, L) each token's place in its sequence; None where no row has two answers.
        attention: (B, 1, L, C + L) True where a token sees another; None where `positions` is.
        targets: (B, A) the answer token that each of the last A places predicts, 0 where none.
        owner: (B, A) the number of the sequence that the target is of, -1 where there is none.
        count: how many sequences there are.
    """

    prefix: Tensor
    input_ids: Tensor
    positions: Tensor | None
    attention: Tensor | None
    targets: Tensor
    owner: Tensor
    count: int

    def sums(self, values: Tensor) -> Tensor:
        """Sums over the tokens of each answer, (count,), of values (B, A); carries gradient."""
        numbers = torch.arange(self.count, device=self.owner.device)
        own = self.owner == numbers[:, None, None]  # adding by index is not repeatable on a GPU
        return torch.where(own, values, 0.0).sum((1, 2))

    def lengths(self) -> Tensor:
        """How many tokens each answer has, (count,)."""
        return torch.bincount(self.owner[self.owner >= 0], minlength=self.count)

    def rows(self, values: Tensor) -> list[list[float]]:
        """Values (B, A) of each answer's tokens, one list per sequence."""
        values, owner = values.cpu(), self.owner.cpu()
        return [values[owner == number].tolist() for number in range(self.count)]


def make_batch(
    sequences: Sequence[TokenSequence],
    device: torch.device,
    *,
    most: int = 0,
    share_prefix: bool = True,
    least_saving: float = 0.0,
) -> Batch:
    """Lay sequences out as one rectangle (see `Batch`).

    Args:
        sequences: prompts with answers, at least one of them not empty.
        device: where the tensors go.
        most: tokens that a row with several answers to one prompt may have (`row_limit`); 0
            puts each answer into a row of its own.
        share_prefix: whether what all prompts begin with is read apart, which takes a cache.
        least_saving: the share of all tokens that reading it once must save, or it is not: a
            beginning that is read apart rounds otherwise, by some 2e-5 nats an answer.
    """
    places = join_prompts(sequences, most)
    prompts = [sequences[own[0]].prompt for own in places]
    prefix = shared_prefix(prompts) if share_prefix else []
    tokens = sum(map(len, prompts)) + sum(len(sequence.answer) for sequence in sequences)
    if len(prefix) * (len(prompts) - 1) < least_saving * tokens:
        prefix = []
    rows = [
        _lay_row(prompt, {place: sequences[place].answer for place in own}, len(prefix))
        for prompt, own in zip(prompts, places, strict=True)
    ]
    first = min(map(len, prompts)) - 1 - len(prefix)
    segments = _padded([row.segments for row in rows], -1)  # padding is in no answer
    alone = len(rows) == len(sequences)
    return Batch(
        prefix=torch.tensor([prefix], dtype=torch.long, device=device),
        input_ids=_padded([row.ids for row in rows], 0).to(device),
        positions=None if alone else _padded([row.positions for row in rows], 0).to(device),
        attention=None if alone else _attention(segments, len(prefix)).to(device),
        targets=_padded([row.targets for row in rows], 0)[:, first:].to(device),
        owner=_padded([row.owners for row in rows], -1)[:, first:].to(device),
        count=len(sequences),
    )


@dataclass
class _Row:
    """A prompt and its answers, token by token; `segments` has 0 for the prompt, then 1, 2, ..."""

    ids: list[int]
    positions: list[int]
    segments: list[int]
    targets: list[int]
    owners: list[int]


def _lay_row(prompt: list[int], answers: dict[int, list[int]], shared: int) -> _Row:
    """The prompt behind what is shared, then each answer behind the prompt's last token."""
    last = len(prompt) - 1
    own = last - shared
    row = _Row(prompt[shared:last], list(range(shared, last)), [0] * own, [0] * own, [-1] * own)
    for number, (owner, answer) in enumerate(answers.items(), start=1):
        row.ids += [prompt[last], *answer][: len(answer)]  # the last one predicts nothing
        row.positions += range(last, last + len(answer))
        row.segments += [number] * len(answer)
        row.targets += answer
        row.owners += [owner] * len(answer)
    return row


def _padded(rows: Sequence[list[int]], value: int) -> Tensor:
    """A rectangle of rows, filled up on the right."""
    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


def _attention(segments: Tensor, shared: int) -> Tensor:
    """What sees what: the prompt is seen by all after it, an answer by itself alone."""
    length = segments.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    related = (segments[:, None, :] == 0) | (segments[:, None, :] == segments[:, :, None])
    return torch.nn.functional.pad(causal & related, (shared, 0), value=True).unsqueeze(1)


def join_prompts(sequences: Sequence[TokenSequence], most: int) -> list[list[int]]:
    """Numbers of the sequences in each row: those of one prompt together, up to `most` tokens."""
    rows: list[list[int]] = []
    open_rows: dict[tuple[int, ...], list[int]] = {}
    for index, sequence in enumerate(sequences):
        row = open_rows.get(tuple(sequence.prompt))
        if row and row_length([*(sequences[i] for i in row), sequence]) <= most:
            row.append(index)
        else:
            rows.append([index])
            open_rows[tuple(sequence.prompt)] = rows[-1]
    return rows


def row_length(sequences: Sequence[TokenSequence]) -> int:
    """Tokens of a row of answers to one prompt, whose last token each of them begins with."""
    return len(sequences[0].prompt) - 1 + sum(len(s.answer) for s in sequences)


def shared_prefix(prompts: Sequence[list[int]]) -> list[int]:
    """What all prompts begin with; a last token stays out, as it predicts the first answer's."""
    low, high = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1 if len(prompts) > 1 else 0
    return low[: next((i for i in range(most) if low[i] != high[i]), most)]


def read_prefix(model: Any, prefix: Tensor, rows: int) -> Any:
    """The cache of a prefix (1, C) read once, for a batch of `rows`; None where C is 0.

    Raises:
        ModelError: the model keeps no keys and values, as state-space models do not.
    """
    if not prefix.numel():
        return None
    output = model(input_ids=prefix, use_cache=True, logits_to_keep=1)
    past = getattr(output, "past_key_values", None)
    if past is None:
        raise ModelError(
            f"{type(model).__name__} keeps no keys and values of what it read; wanted a model that "
            "attends; state-space models cannot be used here"
        )
    past.batch_repeat_interleave(rows)
    return past


def answer_logits(model: Any, batch: Batch) -> Tensor:
    """Logits that predict the answers' tokens, (B, A, V), in the model's dtype."""
    past = read_prefix(model, batch.prefix, len(batch.input_ids))
    joined = (
        {}
        if batch.attention is None
        else {"attention_mask": batch.attention, "position_ids": batch.positions}
    )
    output = model(
        input_ids=batch.input_ids,
        past_key_values=past,
        use_cache=past is not None,
        logits_to_keep=batch.targets.shape[1],
        **joined,
    )
    return output.logits  # type: ignore[no-any-return]


def row_limit(model: Any) -> int:
    """Tokens of a row in which `model` can read several answers, and 0 if it can in none.

    That takes attention by a mask of ours and positions of ours, which not every architecture
    heeds; so it is tried once, on two answers of three tokens, and held against reading each by
    itself. What reads in less than float32 is not asked, as rounding would hide a difference.
    """
    if model not in _joining:
        _joining[model] = _find_limit(model)
    return _joining[model]


@torch.no_grad()
def _find_limit(model: Any) -> int:
    config = model.config
    if model.dtype != torch.float32 or getattr(config, "_attn_implementation", None) != "sdpa":
        return 0
    asked = [TokenSequence([5, 4, 3, 2, 1], answer) for answer in ([2, 3, 4], [4, 3, 1])]
    with torch.autocast(model.device.type, enabled=False):
        try:
            alone, joined = (
                answer_logits(model, make_batch(asked, model.device, most=most)).log_softmax(-1)
                for most in (0, ROW)
            )
        except (ModelError, RuntimeError, TypeError, ValueError):
            return 0
    wanted = torch.cat([alone[0], alone[1]])
    close = torch.allclose(joined[0], wanted, rtol=0, atol=_CLOSE)
    return min(ROW, getattr(config, "sliding_window", None) or ROW) if close else 0
