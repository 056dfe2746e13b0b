"""The training loop: SPA's loss on accelerate, from the previous policy and against it."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import groupby, islice
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, gather_object
from torch import Tensor
from tqdm import tqdm

from spa.adapters import Adapter
from spa.batches import Batch, answer_logits, make_batch, row_limit
from spa.checkpoints import Checkpoints, Progress
from spa.errors import TrainingError
from spa.extrapolation import extrapolated_logprobs
from spa.logprobs import score, token_logprobs
from spa.loss import answer_nll, dpo_margin, refined_loss
from spa.memory import smaller
from spa.params import Train
from spa.recomputation import Recomputation
from spa.records import TrainingRow
from spa.schedule import Plan, make_batches, make_plan, rate_factor
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
    them; gradients, the threshold and the log are those of all pairs, on every process.
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
            checkpoints: where training goes on from after a kill.
        """
        self._accelerator = Accelerator(
            cpu=model.device.type == "cpu",
            mixed_precision="bf16" if bfloat16 else "no",
            # processes differ in how many forward passes a step takes: none may wait there
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        )
        if settings.batch_size < self._accelerator.num_processes:
            raise TrainingError(
                f"train: started as {self._accelerator.num_processes} processes; wanted at most "
                f"one for each of the {settings.batch_size} pairs of a step (train.batch_size)"
            )
        self._settings = settings
        self._seed = seed
        self._round = round
        self._load_reference = load_reference
        self._token_budget = token_budget
        self._micro_pairs = micro_pairs
        self._checkpoints = checkpoints
        self._adapter = (
            Adapter(model, settings.lora, seed=seed, round=round) if settings.lora else None
        )
        self._model = self._adapter.model if self._adapter else model
        self._reading = Recomputation(model) if recompute else nullcontext
        self._share_prefix = not recompute
        self._reference: Any = None
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
        optimizer = torch.optim.AdamW(
            [weight for weight in self._model.parameters() if weight.requires_grad],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        model, optimizer = self._accelerator.prepare(self._model, optimizer)
        before = self._restored(optimizer, pairs)
        log, references = list(before.log), before.references
        if self._accelerator.is_main_process:
            for _, done in groupby(log, key=lambda row: row.step):
                on_step(list(done))
        batches = make_batches(len(pairs), settings, seed=self._seed, round=self._round)
        with tqdm(total=plan.steps, desc="training", unit="step", disable=None) as bar:
            bar.update(before.steps)
            for step, batch in islice(enumerate(batches), before.steps, None):
                rate = settings.learning_rate * rate_factor(step, plan.steps, settings.warmup_share)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                rows = self._step_that_fits(
                    model, [pairs[i] for i in batch], references, plan, step, rate
                )
                norm = self._accelerator.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
                check_gradient(rows, float(norm))
                optimizer.step()
                optimizer.zero_grad()
                log += rows
                if self._accelerator.is_main_process:
                    on_step(rows)
                    self._save(
                        optimizer, Progress(step + 1, self._threshold.state(), references, log)
                    )
                bar.set_postfix(health(rows))
                bar.update()
        if self._adapter:
            self._adapter.merge()
        return log

    def _restored(self, optimizer: Any, pairs: Sequence[TokenPair]) -> Progress:
        """Where training goes on: at the last checkpoint, or at the beginning."""
        found = self._checkpoints.restore(self._model, optimizer) if self._checkpoints else None
        if found is None:
            return Progress(0, [], self._reference_logps(pairs), [])
        self._threshold.restore(found.threshold)
        return found

    def _save(self, optimizer: Any, progress: Progress) -> None:
        if self._checkpoints and self._checkpoints.due():
            self._checkpoints.save(self._model, optimizer, progress)

    def _reference_logps(self, pairs: Sequence[TokenPair]) -> dict[str, tuple[float, float]]:
        """Summed log-probabilities of both answers of each pair before the first step."""
        known = {pair.pair_id: pair.reference for pair in pairs if pair.reference is not None}
        asked = self._own([pair for pair in pairs if pair.pair_id not in known])
        sequences = [s for pair in asked for s in (pair.chosen, pair.rejected)]
        with self._accelerator.autocast():
            scores = score(
                self._model, sequences, token_budget=self._token_budget, progress="reference"
            )
        sums = [math.fsum(row) for row in scores]
        found = [(p.pair_id, (sums[2 * i], sums[2 * i + 1])) for i, p in enumerate(asked)]
        return known | dict(gather_object(found))

    def _own(self, items: Sequence[T]) -> Sequence[T]:
        """This process's share of what all processes do together."""
        return items[self._accelerator.process_index :: self._accelerator.num_processes]

    def _step_that_fits(self, model: Any, *step: Any) -> list[TrainingRow]:
        """`_step`, with fewer pairs at once where memory runs out on a process that is alone."""
        while True:
            try:
                return self._step(model, *step)
            except (RuntimeError, MemoryError) as error:
                if self._accelerator.num_processes > 1:
                    raise  # the others wait for this one's gradients
                self._micro_pairs = smaller(error, self._micro_pairs, "train_pairs")
                model.zero_grad()

    def _step(
        self,
        model: Any,
        pairs: Sequence[TokenPair],
        references: dict[str, tuple[float, float]],
        plan: Plan,
        step: int,
        rate: float,
    ) -> list[TrainingRow]:
        """Accumulate the gradient of one step; the threshold knows earlier steps only."""
        threshold = self._threshold.value()
        refine = step >= plan.gate and self._settings.alpha > 0
        share = self._accelerator.num_processes / len(pairs)  # gradients are averaged over them
        rows: list[TrainingRow] = []
        own = self._own(pairs)
        for start in range(0, len(own), self._micro_pairs):
            part = own[start : start + self._micro_pairs]
            last = start + self._micro_pairs >= len(own)
            with nullcontext() if last else self._accelerator.no_sync(model):
                with self._accelerator.autocast():
                    margin, nll, extrapolated = self._read(
                        model, part, references, step >= plan.look
                    )
                certain = torch.sigmoid(margin.detach() if extrapolated is None else extrapolated)
                flagged = certain < (-math.inf if threshold is None else threshold)
                losses = refined_loss(margin, flagged & refine, alpha=self._settings.alpha)
                total = losses + self._settings.nll_weight * nll
                self._accelerator.backward(total.sum() * share)
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
        if step >= plan.look:
            self._threshold.add(row.confidence for row in rows)
        return rows

    def _gathered(
        self, rows: Sequence[TrainingRow], pairs: Sequence[TokenPair]
    ) -> list[TrainingRow]:
        """The rows of all processes, in the order of the step's pairs."""
        place = {pair.pair_id: index for index, pair in enumerate(pairs)}
        return sorted(gather_object(list(rows)), key=lambda row: place[row.pair_id])

    def _read(
        self,
        model: Any,
        pairs: Sequence[TokenPair],
        references: dict[str, tuple[float, float]],
        look: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Margins and the chosen answers' NLL, with gradient; extrapolated margins if looked at."""
        answers = [answer for pair in pairs for answer in (pair.chosen, pair.rejected)]
        most, share_prefix = row_limit(self._model), self._share_prefix
        batch = make_batch(answers, self._model.device, most=most, share_prefix=share_prefix)
        known = torch.tensor([references[p.pair_id] for p in pairs], device=self._model.device)
        with self._reading():
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

    @torch.no_grad()
    def _reference_logits(self, batch: Batch) -> Tensor:
        """By a second model, or by the only one with its adapter off."""
        if self._adapter:
            with self._adapter.off():
                return answer_logits(self._model, batch)
        if self._reference is None:
            self._reference = self._load_reference()
        return answer_logits(self._reference, batch)

    def _margin(self, logps: Tensor, references: Tensor) -> Tensor:
        """Margins of pairs whose answers' log-probabilities are chosen, rejected, chosen, ..."""
        return dpo_margin(
            logps[::2], logps[1::2], references[:, 0], references[:, 1], beta=self._settings.beta
        )
