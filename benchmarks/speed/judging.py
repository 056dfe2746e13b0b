"""Judging: forward passes beside TRL's, and bookkeeping beside the authors'."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from spa.judging import log_ratio_rewards, make_pairs, make_scores
from spa.models import load_policy, model_hash
from spa.params import Judge
from spa.records import JudgedPair, Response, Score, content_hash
from spa.scoring import load_reader, response_logps, sampler_logps
from spa.tables import write_table
from speed.authors import bookkeeping_seconds
from speed.ratios import Comparison
from speed.training import CPU, make_peer, read_pairs

TOLERANCE = 0.001
"""Nats by which a reused log-probability may be off: the starter's tie band."""

COMPARISONS = (
    Comparison(
        "judge", "judging:ours", ("judging:trl",), 1 / 0.6,
        note="the sampler's log-probabilities reused, 16 checked; TRL reads with both models",
    ),
    Comparison(
        "judge_without_reuse", "judging:ours_both", ("judging:trl",), 1.0,
        note="both models read everything, on both sides",
    ),
)  # fmt: skip
BOOKKEEPING = (
    Comparison(
        "judge_bookkeeping", "judging:bookkeeping", ("judging:authors",), 100.0,
        note="20,000 pairs; the authors' way measured at 500 and 1,000 and carried on",
    ),
    Comparison(
        "judge_bookkeeping_limit", "judging:bookkeeping", ("limits:five_seconds",), 1.0,
        note="20,000 pairs against 5 s",
    ),
)  # fmt: skip


def ours(work: dict[str, Any]) -> dict[str, Any]:
    """As the stage does: a check of the sampler's numbers, then the base reads every answer."""
    folder, responses = Path(work["model"]), _responses(work)
    start = time.perf_counter()
    policy, error = sampler_logps(folder, responses, CPU, tolerance=TOLERANCE)
    base = response_logps(load_reader(folder, CPU), responses, token_budget=CPU.score_tokens)
    seconds = time.perf_counter() - start
    if error > TOLERANCE:
        raise ValueError(f"the sampler's numbers are off by {error} nats: nothing was reused")
    return {"seconds": seconds, "reuse_error": error, "logps": base, "policy": sum(policy)}


def ours_both(work: dict[str, Any]) -> dict[str, Any]:
    """Where nothing may be reused: both models read every answer, one after the other."""
    folder, responses = Path(work["model"]), _responses(work)
    start = time.perf_counter()
    for _ in ("policy", "base"):
        logps = response_logps(load_reader(folder, CPU), responses, token_budget=CPU.score_tokens)
    return {"seconds": time.perf_counter() - start, "logps": logps}


def trl(work: dict[str, Any]) -> dict[str, Any]:
    """TRL's own pass over both answers of every pair, once for each of two models."""
    seconds, pairs = 0.0, read_pairs(work)
    for _ in ("policy", "base"):
        start = time.perf_counter()
        policy = load_policy(Path(work["model"]), CPU)
        seconds += time.perf_counter() - start
        with tempfile.TemporaryDirectory() as scratch:
            peer = make_peer(
                policy, None, pairs, scratch,
                precompute_ref_log_probs=True,
                per_device_train_batch_size=work["micro_pairs"],
            )  # fmt: skip
            seconds += peer.pass_seconds
    columns = [peer.train_dataset[f"ref_{side}_logps"] for side in ("chosen", "rejected")]
    logps = [float(number) for pair in zip(*columns, strict=True) for number in pair]
    return {"seconds": seconds, "logps": logps}


def bookkeeping(work: dict[str, Any]) -> dict[str, Any]:
    """All that judging does beside the models: rewards, scores, pairs and their files."""
    count = work["bookkeeping_pairs"]
    draw = np.random.default_rng(0)
    responses = [_response(f"q{n // 2}", n % 2, [n % 40_000], [-1.0]) for n in range(2 * count)]
    policy, base = draw.normal(-50, 10, (2, 2 * count)).tolist()
    settings = Judge(method="implicit")
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        rewards = log_ratio_rewards(responses, policy, base, settings, seed=1, round=1)
        scores = make_scores(responses, policy, base, rewards)
        pairs = make_pairs(responses, scores, settings, beta=0.1, seed=1, round=1)
        write_table(Path(scratch) / "scores.parquet", scores, Score)
        write_table(Path(scratch) / "pairs.parquet", pairs, JudgedPair)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "pairs": len(pairs)}


def authors(work: dict[str, Any]) -> dict[str, Any]:
    """The authors' bookkeeping of as many pairs, carried on from measured smaller counts."""
    return {"seconds": bookkeeping_seconds(work["bookkeeping_pairs"])}


def _responses(work: dict[str, Any]) -> list[Response]:
    model = model_hash(Path(work["model"]))
    return [
        _response(f"q{n}", sample, pair[side], pair[f"{side}_logprobs"], pair["messages"], model)
        for n, pair in enumerate(work["pairs"])
        for sample, side in enumerate(("chosen", "rejected"))
    ]


def _response(
    prompt_id: str,
    sample: int,
    tokens: list[int],
    logprobs: list[float],
    prompt: Any = (),
    model: str = "none",
) -> Response:
    return Response(
        response_id=content_hash(prompt_id, sample),
        prompt_id=prompt_id,
        prompt=list(prompt) or [{"role": "user", "content": f"What is {prompt_id}?"}],
        sample=sample,
        text=" ".join(map(str, tokens)) + f" of {prompt_id}, {sample}",
        token_ids=tokens,
        finish_reason="stop",
        seed=sample,
        model=model,
        logprob=sum(logprobs),
        token_logprobs=logprobs,
    )
