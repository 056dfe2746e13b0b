"""What the benchmarks work on: real pairs as tokens of the real model."""

from pathlib import Path
from typing import Any

from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.importing.pairs import read_pairs
from spa.logprobs import score
from spa.models import load_policy


def make_work(model: Path, source: Path, *, pairs: int, micro_pairs: int) -> dict[str, Any]:
    """The first pairs of a preference file, with the log-probabilities that a judge brings.

    Args:
        model: policy folder; also the reference.
        source: preference pairs, in any form that `spa validate` takes.
        pairs: how many.
        micro_pairs: pairs per forward and backward pass, on both sides.
    """
    policy = load_policy(model, Compute(device="cpu", dtype="float32"))
    encode = policy.encoder
    rows: list[dict[str, Any]] = [
        {
            "messages": pair.prompt,
            "prompt": encode.prompt(pair.prompt),
            "chosen": encode.answer(pair.chosen, pair.chosen_finish_reason),
            "rejected": encode.answer(pair.rejected, pair.rejected_finish_reason),
        }
        for pair in read_pairs(str(source), Path.cwd()).pairs[:pairs]
    ]
    sequences = [TokenSequence(row["prompt"], row[side]) for row in rows for side in SIDES]
    logprobs = score(policy.model, sequences, token_budget=4096)
    for n, row in enumerate(rows):
        row["chosen_logprobs"], row["rejected_logprobs"] = logprobs[2 * n : 2 * n + 2]
        row["reference"] = [sum(row["chosen_logprobs"]), sum(row["rejected_logprobs"])]
    return {
        "model": str(model.resolve()),
        "pairs": rows,
        "micro_pairs": micro_pairs,
        "tokens": sum(map(len, sequences)),
    }


SIDES = ("chosen", "rejected")
