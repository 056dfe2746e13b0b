"""A round's training work beside TRL's DPOTrainer: the same pairs, steps and micro-batches."""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.models import Policy, load_policy
from spa.params import Train
from spa.schedule import make_batches, rate_factor
from spa.token_pairs import TokenPair
from spa.training import Trainer
from speed.ratios import Comparison

SETTINGS: dict[str, Any] = {"learning_rate": 6e-6, "batch_size": 8, "beta": 0.1, "alpha": 0.0}
CPU = Compute(device="cpu", dtype="float32")

COMPARISONS = (
    Comparison(
        "train_round", "training:ours", ("training:trl_live", "training:trl_precomputed"), 1.8,
        note="no extrapolation; the judge has read the reference already, TRL reads it here",
    ),
    Comparison(
        "train_step", "training:ours", ("training:trl_precomputed",), 1.3,
        peer_quantity="step_seconds", note="steps alone, the reference known to both",
    ),
    Comparison(
        "train_extrapolated", "training:ours_extrapolated", ("training:trl_live",), 1.3,
        note="lambda 0.5: a live reference on both sides",
    ),
    Comparison(
        "train_memory", "training:ours", ("training:trl_live",), 1 / 0.75,
        quantity="peak_gib", unit="GiB", note="against a live reference",
    ),
    Comparison(
        "train_memory_precomputed", "training:ours", ("training:trl_precomputed",), 1 / 0.75,
        quantity="peak_gib", unit="GiB", note="against TRL without its reference model",
    ),
    Comparison(
        "train_memory_extrapolated", "training:ours_extrapolated", ("training:trl_live",), 1 / 0.75,
        quantity="peak_gib", unit="GiB", note="lambda 0.5: a live reference on both sides",
    ),
    Comparison(
        "train_share_of_matmul", "training:share_of_matmul", ("training:share_of_matmul",), 0.0,
        peer_quantity="matmul_seconds",
        note="the peer is a plain matrix product of as many operations as our step's",
    ),
)  # fmt: skip


def read_pairs(work: dict[str, Any]) -> list[TokenPair]:
    """The pairs of a workload."""
    return [
        TokenPair(
            str(n),
            TokenSequence(pair["prompt"], pair["chosen"]),
            TokenSequence(pair["prompt"], pair["rejected"]),
            tuple(pair["reference"]),
        )
        for n, pair in enumerate(work["pairs"])
    ]


def ours(work: dict[str, Any]) -> dict[str, Any]:
    """SPA's loop without extrapolation; the judge's log-probabilities are its reference."""
    return _ours(work, Train(**SETTINGS))


def ours_extrapolated(work: dict[str, Any]) -> dict[str, Any]:
    """SPA's loop with lambda = 0.5 and alpha = 0.1: the reference's logits are needed."""
    return _ours(work, Train(**{**SETTINGS, "alpha": 0.1, "lambda": 0.5}))


def _ours(work: dict[str, Any], settings: Train) -> dict[str, Any]:
    losses, seconds = train(work, settings, device="cpu")
    return {"seconds": seconds, "losses": losses}


def train(
    work: dict[str, Any], settings: Train, *, device: str, bfloat16: bool = False
) -> tuple[list[float], float]:
    """Mean loss of every step, and the seconds of all of them; weights are in float32."""
    folder, compute = Path(work["model"]), Compute(device=device, dtype="float32")
    policy = load_policy(folder, compute)
    reference = load_policy(folder, compute).model if settings.lambda_ else None
    trainer = Trainer(
        policy.model,
        settings,
        seed=1,
        round=1,
        load_reference=lambda: reference,
        token_budget=compute.score_tokens,
        micro_pairs=work["micro_pairs"],
        bfloat16=bfloat16,
    )
    start = time.perf_counter()
    log = trainer.train(read_pairs(work), lambda rows: None)
    seconds = time.perf_counter() - start
    steps = range(log[-1].step + 1)
    losses = [sum(r.loss for r in log if r.step == s) / settings.batch_size for s in steps]
    return losses, seconds


def share_of_matmul(work: dict[str, Any]) -> dict[str, Any]:
    """How near our step comes to the speed of this machine's matrix product."""
    one = {**work, "pairs": work["pairs"][: SETTINGS["batch_size"]]}
    seconds = _ours(one, Train(**SETTINGS))["seconds"]
    flops, best = step_flops(one), matmul_speed()
    return {
        "seconds": seconds,
        "matmul_seconds": flops / best / 1e9,
        "step_gflops": flops / seconds / 1e9,
        "matmul_gflops": best,
    }


def step_flops(work: dict[str, Any]) -> int:
    """Floating-point operations of training on a workload's pairs, by torch's counter."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        _ours(work, Train(**SETTINGS))
    return int(counter.get_total_flops())


def matmul_speed(size: int = 2048, repeats: int = 8) -> float:
    """GFLOP/s of a plain float32 product of two square matrices, the best of some."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times) / 1e9


def trl_live(work: dict[str, Any]) -> dict[str, Any]:
    """DPOTrainer with a reference model in memory."""
    return _trl(work, precompute=False)


def trl_precomputed(work: dict[str, Any]) -> dict[str, Any]:
    """DPOTrainer that reads the reference before the first step; its pass counts."""
    return _trl(work, precompute=True)


def _trl(work: dict[str, Any], *, precompute: bool) -> dict[str, Any]:
    settings, pairs = Train(**SETTINGS), read_pairs(work)
    policy = load_policy(Path(work["model"]), CPU)
    batches = make_batches(len(pairs), settings, seed=1, round=1)
    optimizer = torch.optim.AdamW(
        policy.model.parameters(),
        lr=settings.learning_rate,
        weight_decay=0.0,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_factor(step, len(batches), settings.warmup_share)
    )
    reference = None if precompute else load_policy(Path(work["model"]), CPU).model
    with tempfile.TemporaryDirectory() as scratch:
        trainer = make_peer(
            policy,
            reference,
            [pairs[i] for batch in batches for i in batch],
            scratch,
            optimizers=(optimizer, schedule),
            beta=settings.beta,
            per_device_train_batch_size=work["micro_pairs"],
            gradient_accumulation_steps=settings.batch_size // work["micro_pairs"],
            max_grad_norm=settings.max_grad_norm,
            max_steps=len(batches),
            precompute_ref_log_probs=precompute,
        )
        start = time.perf_counter()
        trainer.train()
        steps = time.perf_counter() - start
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return {
        "seconds": steps + trainer.pass_seconds,
        "step_seconds": steps,
        "losses": losses,
    }


def make_peer(
    policy: Policy, reference: Any, pairs: list[TokenPair], scratch: str, **settings: Any
) -> Any:
    """TRL's trainer on token ids as they are, in the order given, in its fastest setting here.

    Its activation checkpointing, on by default, saves memory for time and is off.
    """
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    class Peer(DPOTrainer):
        pass_seconds = 0.0

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _precompute_ref_logps(self, *arguments: Any) -> Any:
            start = time.perf_counter()
            found = super()._precompute_ref_logps(*arguments)
            self.pass_seconds += time.perf_counter() - start
            return found

    rows = [
        {
            "prompt_ids": pair.chosen.prompt,
            "chosen_ids": pair.chosen.answer,
            "rejected_ids": pair.rejected.answer,
        }
        for pair in pairs
    ]
    arguments: dict[str, Any] = {
        "output_dir": scratch, "use_cpu": True, "bf16": False, "gradient_checkpointing": False,
        "activation_checkpointing": False, "train_sampling_strategy": "sequential",
        "report_to": [], "save_strategy": "no", "logging_steps": 1, "disable_tqdm": True,
    }  # fmt: skip
    optimizers = {"optimizers": settings.pop("optimizers")} if "optimizers" in settings else {}
    return Peer(
        model=policy.model,
        ref_model=reference,
        args=DPOConfig(**arguments, **settings),
        train_dataset=Dataset.from_list(rows),
        processing_class=policy.encoder.tokenizer,
        **optimizers,
    )
