"""The training loop: SPA's loss on accelerate, from the previous policy and against it."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby, islice
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from spa.adapters import Adapter
from spa.checkpoints import Checkpoints, Progress
from spa.distribution import Distribution
from spa.errors import TrainingError
from spa.loss import refined_loss
from spa.margins import Margins, References
from spa.memory import resumed, smaller
from spa.params import Train
from spa.records import TrainingRow
from spa.schedule import Plan, make_batches, make_plan, rate_factor
from spa.sharding import gathered
from spa.threshold import RollingThreshold
from spa.token_pairs import TokenPair, check_lengths
from spa.training_health import check_finite, check_gradient, health

T = TypeVar("T")


class Trainer:
    """Trains one policy in place on one set of pairs.

    The policy stays in evaluation mode: dropout would make policy and reference differ by
    chance. The reference's log-probabilities are the policy's own before the first step,
    computed for the pairs that do not bring them; a second model is loaded only where the
    detector extrapolates (lambda above 0) and no adapter is trained, which can be turned off.

    Under a launcher that starts several processes, each step's pairs are shared out between
    them; gradients, the threshold and the log are those of all pairs, on every process. Each
    holds the whole model or, sharded, a part of every weight.
    """

    def __init__(
        self,
        model: Any,
        settings: Train,
        *,
        seed: int,
        round: int,
        load_reference: Callable[[], Any],
        token_budget: int,
        micro_pairs: int = 1,
        bfloat16: bool = False,
        recompute: bool = False,
        sharded: bool = False,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        """Prepare to train `model` (float32) with `settings`.

        Args:
            model: a causal language model, on its device.
            settings: the round's `train` section.
            seed: the pipeline's seed.
            round: names the order of the pairs.
            load_reference: returns the reference model; called only if it is needed.
            token_budget: tokens per forward pass when references are scored.
            micro_pairs: pairs per forward and backward pass.
            bfloat16: compute in bfloat16 with float32 weights.
            recompute: keep no activations between forward and backward pass (less memory).
            sharded: leave each process a part of every weight, gradient and moment.
            checkpoints: where training goes on from after a kill.

        Raises:
            TrainingError: there are more processes than pairs in a step, or adapters and shards.
        """
        self._together = Distribution(model.device, bfloat16=bfloat16, sharded=sharded)
        _check_processes(settings, self._together)
        self._settings = settings
        self._seed = seed
        self._round = round
        self._asked = self._micro_pairs = micro_pairs
        self._checkpoints = checkpoints
        self._adapter = (
            Adapter(model, settings.lora, seed=seed, round=round) if settings.lora else None
        )
        self._model = self._adapter.model if self._adapter else model
        self._margins = Margins(
            self._model,
            settings,
            self._together,
            load_reference=load_reference,
            adapter=self._adapter,
            token_budget=token_budget,
            recompute=recompute,
        )
        self._threshold = RollingThreshold(share=settings.noise_share, window=settings.noise_window)

    def train(
        self, pairs: Sequence[TokenPair], on_step: Callable[[Sequence[TrainingRow]], None]
    ) -> list[TrainingRow]:
        """Train on `pairs`; the model given is changed.

        Args:
            pairs: what to train on.
            on_step: called on the first process after every step with the step's rows; for
                steps done before a kill too, without doing them again.

        Returns:
            One row per pair and step, of all processes.

        Raises:
            TrainingError: too few pairs, a pair over `max_length`, or a loss that is no number.
            ModelError: memory does not hold one pair.
        """
        settings, plan = self._settings, make_plan(len(pairs), self._settings)
        check_lengths(pairs, settings.max_length)
        model, optimizer = self._together.place(
            self._model,
            partial(
                torch.optim.AdamW,
                lr=settings.learning_rate,
                weight_decay=settings.weight_decay,
                fused=True,
            ),
        )
        before = self._resume(pairs, optimizer)
        log, references = list(before.log), before.references
        if self._together.first:
            for _, done in groupby(log, key=lambda row: row.step):
                on_step(list(done))
        batches = make_batches(len(pairs), settings, seed=self._seed, round=self._round)
        with tqdm(total=plan.steps, desc="training", unit="step", disable=None) as bar:
            bar.update(before.steps)
            for step, batch in islice(enumerate(batches), before.steps, None):
                rate = settings.learning_rate * rate_factor(step, plan.steps, settings.warmup_share)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                work = partial(
                    self._step, model, [pairs[i] for i in batch], references, plan, step, rate
                )
                rows = self._fitting(work, undo=model.zero_grad)
                check_gradient(rows, self._together.clip(model, settings.max_grad_norm))
                self._update(optimizer)
                optimizer.zero_grad(set_to_none=False)
                log += rows
                if self._together.first:
                    on_step(rows)
                window, reduced = self._threshold.state(), (self._asked, self._micro_pairs)
                self._save(optimizer, Progress(step + 1, window, references, log, reduced))
                bar.set_postfix(health(rows))
                bar.update()
        if self._adapter:
            self._adapter.merge()
        return log

    def weights(self) -> dict[str, Tensor] | None:
        """The weights of a model in parts, for the first process; called in all of them together.

        Returns:
            Every weight by its names, or None where the model given holds them all.
        """
        together = self._together
        if not together.sharded:
            return None
        return gathered(
            dict(self._model.named_parameters(remove_duplicate=False)), keep=together.first
        )

    def _references(self, pairs: Sequence[TokenPair]) -> References:
        """Those that the pairs bring, and for the others what the policy says before it learns."""
        known = {pair.pair_id: pair.reference for pair in pairs if pair.reference is not None}
        asked = [pair for pair in pairs if pair.pair_id not in known]
        return known | self._margins.references(asked, self._micro_pairs)

    def _resume(self, pairs: Sequence[TokenPair], optimizer: Any) -> Progress:
        """Where a training that was killed goes on, with all its state; else the beginning."""
        found = self._checkpoints.newest() if self._checkpoints else None
        before = found.progress if found else Progress(0, [], self._references(pairs))
        if found:
            found.load(self._model, optimizer)
            self._micro_pairs = resumed(before.reduced, self._asked, "train_pairs")
        self._threshold.restore(before.threshold)
        return before

    def _save(self, optimizer: Any, progress: Progress) -> None:
        together = self._together
        if self._checkpoints and together.saves(self._checkpoints.due()):
            self._checkpoints.save(self._model, optimizer, progress, write=together.first)

    def _update(self, optimizer: Any) -> None:
        """The optimiser's step, of which the first makes the moments and may run out of memory."""
        if optimizer.state:
            optimizer.step()
        else:
            self._fitting(optimizer.step, undo=optimizer.state.clear)

    def _fitting(self, work: Callable[[], T], *, undo: Callable[[], None]) -> T:
        """`work`, with fewer pairs at once where memory runs out on a process that is alone."""
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if self._together.count > 1:
                    raise  # the others wait for this one's gradients; `spa.memory.exhausted` tells
                self._micro_pairs = smaller(error, self._micro_pairs, "train_pairs")
                undo()

    def _step(
        self,
        model: Any,
        pairs: Sequence[TokenPair],
        references: References,
        plan: Plan,
        step: int,
        rate: float,
    ) -> list[TrainingRow]:
        """Accumulate the gradient of one step; the threshold knows earlier steps only."""
        threshold = self._threshold.value()
        refine = step >= plan.gate and self._settings.alpha > 0
        share = self._together.count / len(pairs)  # gradients are averaged over them
        rows: list[TrainingRow] = []
        passes = self._together.passes(pairs, self._micro_pairs)
        for number, (part, counts) in enumerate(passes, start=1):
            with self._together.gradients(model, last=number == len(passes)):
                with self._together.autocast():
                    margin, nll, extrapolated = self._margins.read(
                        model, part, references, look=step >= plan.look
                    )
                certain = torch.sigmoid(margin.detach() if extrapolated is None else extrapolated)
                flagged = certain < (-math.inf if threshold is None else threshold)
                losses = refined_loss(margin, flagged & refine, alpha=self._settings.alpha)
                total = losses + self._settings.nll_weight * nll
                self._together.backward(total.sum() * share * counts)
            if not counts:
                continue
            losses, margin = losses.detach(), margin.detach()
            rows += [
                TrainingRow(
                    step=step,
                    pair_id=pair.pair_id,
                    loss=float(losses[i]),
                    margin=float(margin[i]),
                    extrapolated_margin=None if extrapolated is None else float(extrapolated[i]),
                    confidence=float(certain[i]),
                    threshold=threshold,
                    flagged=bool(flagged[i]),
                    refined=bool(flagged[i]) and refine,
                    learning_rate=rate,
                )
                for i, pair in enumerate(part)
            ]
        rows = self._gathered(rows, pairs)
        check_finite(rows)
        if step >= max(plan.look, 1):  # before the first step every policy is its reference
            self._threshold.add(row.confidence for row in rows)
        return rows

    def _gathered(
        self, rows: Sequence[TrainingRow], pairs: Sequence[TokenPair]
    ) -> list[TrainingRow]:
        """The rows of all processes, in the order of the step's pairs."""
        place = {pair.pair_id: index for index, pair in enumerate(pairs)}
        return sorted(self._together.gather(rows), key=lambda row: place[row.pair_id])


def _check_processes(settings: Train, together: Distribution) -> None:
    if settings.batch_size < together.count:
        raise TrainingError(
            f"train: started as {together.count} processes; wanted at most one for each of the "
            f"{settings.batch_size} pairs of a step (train.batch_size)"
        )
    if together.sharded and settings.lora:
        raise TrainingError(
            "compute.yaml: shard: found true with train.lora; wanted one of them: an adapter "
            "leaves little to share out"
        )
