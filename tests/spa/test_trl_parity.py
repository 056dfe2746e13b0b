"""With alpha = 0 our loop is DPO: the same losses as TRL's DPOTrainer, step by step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from spa.compute import Compute
from spa.models import load_policy
from spa.params import Train
from spa.schedule import make_batches, rate_factor
from spa.token_pairs import TokenPair
from spa.training import Trainer
from tests.spa.test_training import _pairs

STEPS = 10
SETTINGS = Train(learning_rate=5e-3, batch_size=4, epochs=4, alpha=0.0, beta=0.3)
PAIRS = 10
CPU = Compute(device="cpu")


class _SameTokens(DPOTrainer):
    """TRL's trainer on token ids as they are, in the order given, its losses kept."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset  # TRL's own rendering puts a newline after the end of a turn

    def compute_loss(self, *arguments: Any, **named: Any) -> Any:
        parent: Any = super()
        found = parent.compute_loss(*arguments, **named)
        loss = found[0] if isinstance(found, tuple) else found
        self.losses = [*getattr(self, "losses", []), float(loss.detach())]
        return found


def test_the_first_ten_losses_are_those_of_trl(tiny_folder: Path, tmp_path: Path) -> None:
    pairs = _pairs(PAIRS)
    ours = _our_losses(tiny_folder, pairs)
    theirs = _their_losses(tiny_folder, pairs, tmp_path)
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert theirs[-1] < theirs[0] - 0.1  # the losses moved: agreement is no accident of idle steps


def _our_losses(folder: Path, pairs: Sequence[TokenPair]) -> list[float]:
    trainer = Trainer(
        load_policy(folder, CPU).model,
        SETTINGS,
        seed=1,
        round=1,
        load_reference=lambda: pytest.fail("alpha = 0 and lambda = 0 need no second model"),
        token_budget=256,
    )
    log = trainer.train(pairs, lambda rows: None)
    return [
        sum(r.loss for r in log if r.step == step) / SETTINGS.batch_size for step in range(STEPS)
    ]


def _their_losses(folder: Path, pairs: Sequence[TokenPair], scratch: Path) -> list[float]:
    policy = load_policy(folder, CPU)
    batches = make_batches(len(pairs), SETTINGS, seed=1, round=1)
    rows = [
        {
            "prompt_ids": pairs[i].chosen.prompt,
            "chosen_ids": pairs[i].chosen.answer,
            "rejected_ids": pairs[i].rejected.answer,
        }
        for batch in batches
        for i in batch
    ]
    optimizer = torch.optim.AdamW(
        policy.model.parameters(), lr=SETTINGS.learning_rate, weight_decay=0.0
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_factor(step, len(batches), SETTINGS.warmup_share)
    )
    trainer = _SameTokens(
        model=policy.model,
        ref_model=load_policy(folder, CPU).model,
        args=DPOConfig(
            output_dir=str(scratch),
            beta=SETTINGS.beta,
            per_device_train_batch_size=SETTINGS.batch_size,
            max_steps=STEPS,
            max_grad_norm=SETTINGS.max_grad_norm,
            train_sampling_strategy="sequential",
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=policy.encoder.tokenizer,
        optimizers=(optimizer, schedule),
    )
    trainer.train()
    return list(trainer.losses)
