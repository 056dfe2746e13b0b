"""The transformers engine: `generate` in batches, with our own draw in place of its multinomial.

A prompt is read once for all of its answers, as is what all prompts of a batch begin with, such
as a system turn; answers that have ended leave the batch.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from spa.batches import read_prefix, shared_prefix
from spa.generation.engine import Completion, Request, content_order
from spa.logprobs import token_logprobs
from spa.memory import smaller
from spa.models import Policy
from spa.sampling import draw
from spa.seeds import draw_keys

_PAD_TO = 16
_FEW_ENDED = 1 / 8  # of a batch; they are carried along, as dropping them copies its cache


class TransformersEngine:
    """Samples with transformers; see `spa.generation.engine.Engine`."""

    def __init__(
        self, policy: Policy, *, temperature: float, max_new_tokens: int, batch: int
    ) -> None:
        """Sample from `policy` at `temperature`, at most `max_new_tokens` an answer."""
        self._policy = policy
        self._temperature = temperature
        self._max_new_tokens = max_new_tokens
        self._batch = batch

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request; batches are cut by content, prompts of like length together.

        Raises:
            ModelError: memory does not hold one answer.
        """
        order = content_order(requests)
        answers: dict[int, Completion] = {}
        with tqdm(total=len(order), desc="sampling", unit="answer", disable=None) as bar:
            while len(answers) < len(order):
                part = order[len(answers) : len(answers) + self._batch]
                try:
                    done = self._kept([requests[i] for i in part])
                except (RuntimeError, MemoryError) as error:
                    self._batch = smaller(error, len(part), "generate_batch")
                    continue
                answers.update(zip(part, done, strict=True))
                bar.update(len(part))
        return [answers[i] for i in range(len(requests))]

    def _kept(self, requests: Sequence[Request]) -> list[Completion]:
        """A batch, from before if it was answered before the stage was killed."""
        work = [self._temperature, self._max_new_tokens, [[r.seed, r.prompt] for r in requests]]
        rows = self._policy.keep(work, lambda: [asdict(c) for c in self._complete_batch(requests)])
        return [Completion(**row) for row in rows]

    @torch.no_grad()
    def _complete_batch(self, requests: Sequence[Request]) -> list[Completion]:
        policy, device = self._policy, self._policy.model.device
        prompts = list(dict.fromkeys(tuple(request.prompt) for request in requests))
        places = {prompt: place for place, prompt in enumerate(prompts)}
        rows = torch.tensor([places[tuple(r.prompt)] for r in requests], device=device)
        prefix = shared_prefix([list(prompt) for prompt in prompts])
        input_ids, mask = (t.to(device) for t in _laid_out(prompts, len(prefix)))
        width = input_ids.shape[1]
        keys = np.stack([draw_keys(r.seed, self._max_new_tokens) for r in requests])
        drawing = _Draw(width, torch.from_numpy(keys).to(device), self._temperature, policy)
        first = torch.tensor([prefix], dtype=torch.long, device=device)
        past = read_prefix(policy.model, first, len(prompts))
        if len(prompts) < len(requests):
            past = self._read_prompts(input_ids, mask, past, rows)
        self._finish(drawing, input_ids[rows], mask[rows], past)
        return [
            _completion(tokens, row, policy.stop_tokens)
            for tokens, row in zip(drawing.tokens.tolist(), drawing.logprobs.tolist(), strict=True)
        ]

    def _read_prompts(self, input_ids: Tensor, mask: Tensor, past: Any, rows: Tensor) -> Any:
        """The cache of prompts read once each, but for their last token, in the order of `rows`.

        `generate` reads them, as it will go on from there. None where the model keeps no cache.
        """
        output: Any = self._policy.model.generate(
            input_ids=input_ids[:, :-1],
            attention_mask=mask[:, :-1],
            past_key_values=past,
            do_sample=False,
            max_new_tokens=1,  # not looked at
            pad_token_id=self._policy.stop_tokens[0],
            return_dict_in_generate=True,
        )
        past = getattr(output, "past_key_values", None)
        if past is not None:
            past.batch_select_indices(rows)
        return past

    def _finish(self, drawing: "_Draw", input_ids: Tensor, mask: Tensor, past: Any) -> None:
        """Call `generate` until all answers have ended, each time with those that have not."""
        while len(drawing.rows) and drawing.drawn < self._max_new_tokens:
            output: Any = self._policy.model.generate(
                input_ids=input_ids,
                attention_mask=mask,
                past_key_values=past,
                do_sample=False,
                max_new_tokens=self._max_new_tokens - drawing.drawn,
                eos_token_id=list(self._policy.stop_tokens),
                pad_token_id=self._policy.stop_tokens[0],
                logits_processor=LogitsProcessorList([drawing]),
                stopping_criteria=StoppingCriteriaList([_EnoughEnded(drawing)]),
                return_dict_in_generate=True,
            )
            kept = drawing.drop_ended()
            input_ids, past = output.sequences[kept], getattr(output, "past_key_values", None)
            if past is not None:  # else all is read anew
                past.batch_select_indices(kept)
            mask = torch.nn.functional.pad(
                mask[kept], (0, input_ids.shape[1] - mask.shape[1]), value=1
            )


def _laid_out(prompts: Sequence[tuple[int, ...]], shared: int) -> tuple[Tensor, Tensor]:
    """Token ids and mask of prompts: what they share, then the rest, padded on its left."""
    rest = max(map(len, prompts)) - shared
    rest = -(-rest // _PAD_TO) * _PAD_TO  # few shapes: equal prompts round alike
    gaps = [rest + shared - len(prompt) for prompt in prompts]
    rows = zip(prompts, gaps, strict=True)
    input_ids = [[*prompt[:shared], *[0] * gap, *prompt[shared:]] for prompt, gap in rows]
    mask = [[*[1] * shared, *[0] * gap, *[1] * (rest - gap)] for gap in gaps]
    return torch.tensor(input_ids), torch.tensor(mask)


class _Draw(LogitsProcessor):
    """Draws the next token itself and leaves `generate` only that one to choose.

    `generate`'s own sampling draws all rows from one shared random state, so that an answer
    would depend on its neighbours, and costs a quarter of the time (measured on a CPU).

    Attributes:
        tokens, logprobs: (B, T) what was drawn, of all answers; what follows an end is noise.
        rows: (R,) the answers still in the batch.
        drawn: tokens drawn of each of them.
    """

    def __init__(self, width: int, keys: Tensor, temperature: float, policy: Policy) -> None:
        self._width = width
        self._keys = keys
        self._temperature = temperature
        self._stops = torch.tensor(policy.stop_tokens, device=keys.device)
        self.tokens = torch.zeros_like(keys)
        self.logprobs = torch.zeros(keys.shape, device=keys.device)
        self.rows = torch.arange(len(keys), device=keys.device)
        self._ended = torch.zeros_like(self.rows, dtype=torch.bool)
        self.drawn = 0

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        position = input_ids.shape[1] - self._width
        tokens = draw(scores, self._keys[self.rows, position], temperature=self._temperature)
        self.tokens[self.rows, position] = tokens
        self.logprobs[self.rows, position] = token_logprobs(scores, tokens)
        self._ended |= torch.isin(tokens, self._stops)
        self.drawn = position + 1
        return torch.full_like(scores, -torch.inf).scatter(-1, tokens.unsqueeze(-1), 0.0)

    def enough_ended(self) -> bool:
        """Whether so many answers have ended that going on without them pays."""
        return int(self._ended.sum()) > _FEW_ENDED * len(self.rows)

    def drop_ended(self) -> Tensor:
        """Forget the answers that have ended; returns the places of the others."""
        kept = (~self._ended).nonzero().squeeze(-1)
        self.rows, self._ended = self.rows[kept], self._ended[kept]
        return kept


class _EnoughEnded(StoppingCriteria):
    """Stops `generate` when going on without the answers that have ended pays."""

    def __init__(self, drawing: _Draw) -> None:
        self._drawing = drawing

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return torch.full((len(input_ids),), self._drawing.enough_ended(), device=input_ids.device)


def _completion(tokens: list[int], logprobs: list[float], stops: tuple[int, ...]) -> Completion:
    end = next((i for i, token in enumerate(tokens) if token in stops), None)
    length = len(tokens) if end is None else end + 1
    return Completion(tokens[:length], logprobs[:length], finished=end is not None)
