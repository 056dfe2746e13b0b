"""What a GPU gives, and whether its results are the CPU's: `make gpu-check MODEL=FOLDER`.

Under ten minutes on one GPU with the starter's model; needs no network. Ends with an error where
a result is further from the CPU's than `TOLERANCES` say.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState

from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.generation.engine import Request
from spa.generation.transformers_engine import TransformersEngine
from spa.logprobs import score
from spa.models import load_policy
from spa.params import Train
from spa.seeds import derive_seed
from spa.token_pairs import TokenPair
from speed.training import SETTINGS, matmul_speed, read_pairs, step_flops, train
from speed.work import make_work

ROOT = Path(__file__).parents[2]
TOLERANCES = {
    "float32_logp_nats": 0.01,
    "bfloat16_logp_nats": 2.0,
    "float32_loss": 1e-3,
    "bfloat16_loss": 0.1,
}
"""Largest difference to float32 on the CPU: of an answer's summed log-probability, and of a
step's mean loss. In bfloat16 an answer of 64 tokens was off by up to 0.55 nats."""


def main() -> None:
    """Measure, print one line each, and hold the results against the CPU's."""
    asked = _arguments()
    work = make_work(asked.model, asked.pairs, pairs=asked.n, micro_pairs=4)
    pairs = read_pairs(work)
    report: dict[str, Any] = {"device": device_name(asked.device), "torch": torch.__version__}
    report["matmul_tflops"] = {
        str(dtype).removeprefix("torch."): device_matmul(asked.device, dtype)
        for dtype in (torch.float32, torch.bfloat16)
    }
    first = {**work, "pairs": work["pairs"][: SETTINGS["batch_size"]]}
    flops = step_flops(first) / sum(
        len(s) for p in read_pairs(first) for s in (p.chosen, p.rejected)
    )
    cpu = [answer_logps(asked.model, pairs, "cpu", "float32"), losses(work, "cpu", "float32")[0]]
    faults = []
    for dtype in ("float32", "bfloat16"):
        own = measure(asked.model, work, asked.device, dtype)
        speed = own["trained_tokens_per_s"] * flops / 1e12
        own["training_share_of_matmul"] = speed / report["matmul_tflops"][dtype]
        off = {
            f"{dtype}_logp_nats": _largest(cpu[0], own.pop("logps")),
            f"{dtype}_loss": _largest(cpu[1], own.pop("losses")),
        }
        faults += [f"{k} = {v:.3g}, wanted {TOLERANCES[k]}" for k, v in off.items()
                   if not v <= TOLERANCES[k]]  # fmt: skip
        report[dtype] = own | {"off": off}
        print(f"{dtype}: {json.dumps(report[dtype])}", flush=True)
    print(json.dumps(report))
    if faults:
        sys.exit(f"gpu-check: not the CPU's results: {'; '.join(faults)}")


def measure(model: Path, work: dict[str, Any], device: str, dtype: str) -> dict[str, Any]:
    """Tokens per second of scoring, training and sampling, and what they computed."""
    pairs = read_pairs(work)
    start = time.perf_counter()
    logps = answer_logps(model, pairs, device, dtype)
    scoring = time.perf_counter() - start
    found, training = losses(work, device, dtype)
    sampled, sampling = sample(model, work, device, dtype)
    return {
        "attention": load_policy(model, _compute(device, dtype)).model.config._attn_implementation,
        "scored_tokens_per_s": work["tokens"] / scoring,
        "trained_tokens_per_s": work["tokens"] / training,
        "sampled_tokens_per_s": sampled / sampling,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if device != "cpu" else None,
        "logps": logps,
        "losses": found,
    }


def answer_logps(model: Path, pairs: list[TokenPair], device: str, dtype: str) -> list[float]:
    """Summed log-probability of every answer, chosen and rejected in turn."""
    policy = load_policy(model, _compute(device, dtype))
    sequences: list[TokenSequence] = [s for p in pairs for s in (p.chosen, p.rejected)]
    return [sum(row) for row in score(policy.model, sequences, token_budget=8192)]


def losses(work: dict[str, Any], device: str, dtype: str) -> tuple[list[float], float]:
    """Mean loss of every step, and the seconds of all of them, computed in `dtype`."""
    forget_precision()
    found = train(work, Train(**SETTINGS), device=device, bfloat16=dtype == "bfloat16")
    forget_precision()
    return found


def forget_precision() -> None:
    """accelerate holds one precision per process, unless it is told to begin anew."""
    AcceleratorState._reset_state(reset_partial_state=True)


def sample(model: Path, work: dict[str, Any], device: str, dtype: str) -> tuple[int, float]:
    """Tokens sampled of four answers to every prompt, and their seconds."""
    engine = TransformersEngine(
        load_policy(model, _compute(device, dtype)), temperature=0.8, max_new_tokens=64, batch=256
    )
    requests = [
        Request(pair["prompt"], derive_seed(1, "gpu", n, k))
        for n, pair in enumerate(work["pairs"])
        for k in range(4)
    ]
    engine.complete(requests[:4])  # the first call loads kernels
    start = time.perf_counter()
    answers = engine.complete(requests)
    return sum(len(answer.tokens) for answer in answers), time.perf_counter() - start


def device_matmul(device: str, dtype: torch.dtype, size: int = 8192) -> float:
    """TFLOP/s of a plain product of square matrices: what the device can do, measured."""
    if device == "cpu":
        return matmul_speed() / 1000
    a = torch.randn(size, size, device=device, dtype=dtype)
    times = []
    for _ in range(8):
        torch.cuda.synchronize()
        start = time.perf_counter()
        torch.mm(a, a)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times) / 1e12


def device_name(device: str) -> str:
    return "cpu" if device == "cpu" else torch.cuda.get_device_name(device)


def _compute(device: str, dtype: Any) -> Compute:
    return Compute(device=device, dtype=dtype)


def _largest(first: list[float], second: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(first, second, strict=True))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make gpu-check", description=__doc__)
    add = parser.add_argument
    add("--model", type=Path, default=ROOT / "data/base/policy", help="policy folder")
    add("--pairs", type=Path, default=ROOT / "data/raw/starter/pairs.jsonl", help="preference file")
    add("--n", type=int, default=64, help="pairs")
    add("--device", default="cuda", help="`cpu` tries the check itself")
    asked = parser.parse_args()
    if asked.device != "cpu" and not torch.cuda.is_available():
        parser.error("no CUDA device was found; `--device cpu` only tries the check itself")
    return asked


if __name__ == "__main__":
    main()
