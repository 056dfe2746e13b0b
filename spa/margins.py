"""What a policy in training and its reference say of pairs of answers: margins and likelihoods."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from spa.adapters import Adapter
from spa.batches import Batch, answer_logits, make_batch, row_limit
from spa.distribution import Distribution
from spa.embedding_gradient import by_row
from spa.extrapolation import extrapolated_logprobs
from spa.logprobs import score, token_logprobs
from spa.loss import answer_nll, dpo_margin
from spa.params import Train
from spa.recomputation import Recomputation
from spa.token_pairs import TokenPair

References = dict[str, tuple[float, float]]
"""Under the reference, of each pair by its id: the log-probabilities (nats) of its chosen and
rejected answer."""


class Margins:
    """Reads pairs with the policy that is trained and, where the detector extrapolates, with its
    reference: a second model, or the only one with its adapter off."""

    def __init__(
        self,
        model: Any,
        settings: Train,
        together: Distribution,
        *,
        load_reference: Callable[[], Any],
        adapter: Adapter | None,
        token_budget: int,
        recompute: bool,
    ) -> None:
        """Read with `model`.

        Args:
            model: the policy.
            settings: the round's `train` section.
            together: the processes that train.
            load_reference: returns the reference model; called only if it is needed.
            adapter: the policy's, if one is trained.
            token_budget: tokens per forward pass when references are scored.
            recompute: keep no activations between forward and backward pass.
        """
        self._model = model
        self._settings = settings
        self._together = together
        self._load_reference = load_reference
        self._adapter = adapter
        self._token_budget = token_budget
        self._reading = Recomputation(model) if recompute else nullcontext
        alone = together.count == 1 and not together.sharded
        self._looking_up = partial(by_row, model) if alone else nullcontext
        # what all prompts of a pass begin with takes a pass that not every process makes
        self._share_prefix = not (recompute or together.sharded)
        self._reference: Any = None

    def references(self, pairs: Sequence[TokenPair], micro_pairs: int) -> References:
        """Log-probabilities by the policy as it is before the first step; asked in all processes.

        Args:
            pairs: of all processes.
            micro_pairs: pairs per pass where weights are in parts.
        """
        with self._together.autocast():
            if self._together.sharded:
                found = self._read_parts(pairs, micro_pairs)
            else:
                found = self._read_whole(self._together.own(pairs))
        return dict(self._together.gather(list(found.items())))

    def read(
        self,
        model: Any,
        pairs: Sequence[TokenPair],
        references: References,
        *,
        look: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Read some pairs in one pass.

        Args:
            model: the policy as it is called, in its wrapping.
            pairs: P of them.
            references: of these pairs at least.
            look: whether the detector works in this step.

        Returns:
            (P,) margins and (P,) mean negative log-likelihoods (nats) of the chosen answers, both
            with gradient, and (P,) extrapolated margins, None where nobody looks.
        """
        batch = self._batch(pairs)
        known = torch.tensor([references[p.pair_id] for p in pairs], device=self._model.device)
        with self._reading(), self._looking_up():
            logits = answer_logits(model, batch)
        logps = token_logprobs(logits, batch.targets)
        sums = batch.sums(logps)
        margin = self._margin(sums, known)
        nll = answer_nll(sums[::2], batch.lengths()[::2])
        if not look:
            return margin, nll, None
        if self._settings.lambda_ == 0:
            return margin, nll, margin.detach()
        extrapolated = extrapolated_logprobs(
            logits.detach(),
            self._reference_logits(batch),
            batch.targets,
            lambda_=self._settings.lambda_,
        )
        return margin, nll, self._margin(batch.sums(extrapolated), known)

    def _read_whole(self, pairs: Sequence[TokenPair]) -> References:
        """In batches of like length."""
        sequences = [s for pair in pairs for s in (pair.chosen, pair.rejected)]
        scores = score(
            self._model, sequences, token_budget=self._token_budget, progress="reference"
        )
        sums = [math.fsum(row) for row in scores]
        return {p.pair_id: (sums[2 * i], sums[2 * i + 1]) for i, p in enumerate(pairs)}

    @torch.no_grad()
    def _read_parts(self, pairs: Sequence[TokenPair], micro_pairs: int) -> References:
        """This process's share, in passes that all processes make."""
        found: References = {}
        passes = self._together.passes(pairs, micro_pairs)
        for part, counts in tqdm(passes, desc="reference", disable=None):
            batch = self._batch(part)
            logps = token_logprobs(answer_logits(self._model, batch), batch.targets)
            sums = batch.sums(logps).tolist()
            if counts:
                found |= {p.pair_id: (sums[2 * i], sums[2 * i + 1]) for i, p in enumerate(part)}
        return found

    def _batch(self, pairs: Sequence[TokenPair]) -> Batch:
        """The answers of some pairs: chosen, rejected, chosen, ..."""
        answers = [answer for pair in pairs for answer in (pair.chosen, pair.rejected)]
        return make_batch(
            answers,
            self._model.device,
            most=row_limit(self._model),
            share_prefix=self._share_prefix,
        )

    @torch.no_grad()
    def _reference_logits(self, batch: Batch) -> Tensor:
        """By a second model, or by the only one with its adapter off."""
        if self._adapter:
            with self._adapter.off():
                return answer_logits(self._model, batch)
        if self._reference is None:
            self._reference = self._together.place_reference(self._load_reference())
        return answer_logits(self._reference, batch)

    def _margin(self, logps: Tensor, references: Tensor) -> Tensor:
        """Margins of pairs whose answers' log-probabilities are chosen, rejected, chosen, ..."""
        return dpo_margin(
            logps[::2], logps[1::2], references[:, 0], references[:, 1], beta=self._settings.beta
        )
