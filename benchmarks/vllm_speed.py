"""Our vLLM engine against bare vLLM and the transformers engine, on the same prompts.

    make bench VLLM=/path/to/vllm/bin/python
    python benchmarks/vllm_speed.py --python /path/to/vllm/bin/python    # alone

Bare vLLM is `LLM.generate` with its defaults, but for its scheduler, which runs in the same process
as ours does (by default it has one of its own, and took 1.7 times as long on two cores): with a
seed for every answer, without which none can be had again, and without seeds. All are loaded,
answer once unmeasured, and then take turns; every run has prompts of its own. Ratios are of time
per token, as draws and so lengths differ; they go to benchmarks/results.json and
docs/performance.md with those of `python -m speed`.
"""

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
from speed.page import record
from speed.ratios import Comparison, Figure, Outcome, compare

from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.generation.engine import Completion, Engine, Request
from spa.generation.transformers_engine import TransformersEngine
from spa.generation.vllm_engine import VllmEngine
from spa.importing.prompts import read_prompts
from spa.logprobs import score
from spa.models import choose_dtype, choose_generate_batch, load_policy
from spa.seeds import derive_seed

ROOT = Path(__file__).parents[1]
TEMPERATURE = 0.8
SHARED = {"kv_cache_memory_bytes": 2**30, "max_model_len": 1024}
"""Room for both on one machine: by default either would take nearly all of it."""
Run = tuple[float, int]
"""Seconds, and tokens of all answers."""
PEERS = {
    "vllm": (0.95, "our engine against bare vLLM, a seed for every answer"),
    "vllm-without-seeds": (0.95, "bare vLLM without seeds, whose answers cannot be had again"),
    "transformers-engine": (0.0, "our engine that samples with transformers, same tokens"),
}
"""The least ratio wanted of each, and what it is."""


class Bare:
    """vLLM without us, in a process of the same environment."""

    def __init__(self, python: str, settings: dict[str, Any]) -> None:
        script = Path(__file__).parent / "vllm_bare.py"
        self._process = subprocess.Popen(
            [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"},
        )  # fmt: skip
        self.loading = self._call(settings)["seconds"]
        self.pid = self._process.pid

    def answer(self, requests: Sequence[Request], *, seeded: bool) -> tuple[float, int]:
        """Seconds and tokens of one call."""
        prompts = [request.prompt for request in requests]
        seeds = [request.seed % 2**63 for request in requests] if seeded else None
        row = self._call({"prompts": prompts, "seeds": seeds})
        return row["seconds"], row["tokens"]

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _call(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(message), file=self._process.stdin, flush=True)
        row: dict[str, Any] = json.loads(self._process.stdout.readline())
        return row


def timed(engine: Engine, kept: dict[int, Completion], requests: Sequence[Request]) -> Run:
    """One call of an engine; its answers are kept under their seeds."""
    begun = time.perf_counter()
    answers = engine.complete(requests)
    seconds = time.perf_counter() - begun
    kept.update({r.seed: answer for r, answer in zip(requests, answers, strict=True)})
    return seconds, sum(len(answer.tokens) for answer in answers)


def against(peer: str, runs: Mapping[str, Sequence[Run]]) -> Figure:
    """Time per token of a peer over ours, run by run."""
    outcomes = [
        {name: Outcome(seconds, 0.0, {"per_token": 1000 * seconds / tokens})
         for name, (seconds, tokens) in zip(runs, run, strict=True)}
        for run in zip(*runs.values(), strict=True)
    ]  # fmt: skip
    goal, note = PEERS[peer]
    return compare(
        Comparison(
            peer.replace("-", "_"), "ours", (peer,), goal, quantity="per_token", unit="ms/token",
            note=note,
        ),
        outcomes,
    )  # fmt: skip


def agreement(
    requests: Sequence[Request], ours: dict[int, Completion], theirs: dict[int, Completion]
) -> str:
    """How many answers of two calls have the same tokens."""
    same = sum(ours[r.seed].tokens == theirs[r.seed].tokens for r in requests)
    return f"{same} of {len(requests)}"


def main() -> None:
    """Print the figures."""
    asked = _arguments()
    compute = Compute.model_validate(
        {"device": asked.device, "vllm": {"python": asked.python, "options": asked.options}}
    )
    policy = load_policy(asked.model, compute)
    settings: dict[str, Any] = {"temperature": TEMPERATURE, "max_new_tokens": asked.tokens}
    own = VllmEngine(asked.model, compute, stop_tokens=policy.stop_tokens, **settings)
    plain = TransformersEngine(policy, batch=choose_generate_batch(compute), **settings)
    dtype = str(choose_dtype(compute)).removeprefix("torch.")
    bare = Bare(
        asked.python,
        {"model": str(asked.model.resolve()), "dtype": dtype, "options": asked.options, **settings},
    )
    prompts = read_prompts("data/raw/starter/prompts.jsonl", ROOT)[: asked.n * (asked.runs + 1)]
    requests = [
        Request(policy.encoder.prompt(one.prompt), derive_seed(1, "speed", one.prompt_id))
        for one in prompts
    ]
    by_vllm, by_transformers = dict[int, Completion](), dict[int, Completion]()
    turns: dict[str, Callable[[Sequence[Request]], Run]] = {
        "ours": partial(timed, own, by_vllm),
        "vllm": partial(bare.answer, seeded=True),
        "vllm-without-seeds": partial(bare.answer, seeded=False),
        "transformers-engine": partial(timed, plain, by_transformers),
    }
    first, measured = requests[: asked.n], requests[asked.n :]
    seconds = {name: turn(first)[0] for name, turn in turns.items()}
    runs: dict[str, list[Run]] = {name: [] for name in turns}
    for start in range(0, len(measured), asked.n):
        for name in sorted(turns, reverse=bool(start // asked.n % 2)):
            _halt_others(name, bare.pid)
            runs[name].append(turns[name](measured[start : start + asked.n]))
            print(name, *runs[name][-1], file=sys.stderr, flush=True)
    _halt_others("", 0)
    figures = [against(peer, runs) for peer in PEERS]
    print(*(figure.line() for figure in figures), sep="\n")
    told = [
        {name: {"seconds": own[n][0], "tokens": own[n][1]} for name, own in runs.items()}
        for n in range(asked.runs)
    ]
    record(ROOT, "vllm", figures, told, {"answers a run": asked.n, "tokens at most": asked.tokens})
    print(
        f"first answers, loading included: ours {seconds['ours']:.1f} s, bare "
        f"{bare.loading + seconds['vllm']:.1f} s"
    )
    print(
        f"same tokens as the transformers engine: {agreement(measured, by_vllm, by_transformers)}"
    )
    together: dict[int, Completion] = {}
    timed(own, together, requests[::-1])
    print(f"same tokens with other neighbours: {agreement(measured, by_vllm, together)}")
    _print_errors(policy.model, measured, by_vllm)
    own.close()
    bare.close()


def _halt_others(name: str, bare: int) -> None:
    """Stop who has no turn, as vLLM's processes are never quite idle; all go on for no name."""
    for child in psutil.Process().children():
        whose = "vllm" if child.pid == bare else "ours"
        os.killpg(
            child.pid, signal.SIGCONT if name.startswith(whose) or not name else signal.SIGSTOP
        )


def _print_errors(model: Any, requests: Sequence[Request], answers: dict[int, Completion]) -> None:
    """vLLM's log-probabilities against the scorer's, in nats, summed over an answer."""
    sequences = [TokenSequence(r.prompt, answers[r.seed].tokens) for r in requests]
    rows = score(model.to(torch.float32), sequences, token_budget=4096)
    errors = sorted(
        abs(math.fsum(answers[r.seed].logprobs) - math.fsum(row))
        for r, row in zip(requests, rows, strict=True)
    )
    print(
        f"log-probability of an answer against the scorer's: median difference "
        f"{statistics.median(errors):.1e}, largest {errors[-1]:.1e} nats (n={len(errors)})"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", required=True, help="of the environment with vLLM")
    parser.add_argument("--model", type=Path, default=ROOT / "data" / "base" / "policy")
    parser.add_argument("--device", help="found where it is not said")
    parser.add_argument("--options", type=json.loads, default=SHARED, help="of vllm.LLM, as JSON")
    parser.add_argument("--n", type=int, default=64, help="answers in one run")
    parser.add_argument("--tokens", type=int, default=64, help="of the longest answer")
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
