"""Do answers and scores depend on how many are worked on at once?

    python benchmarks/batch_sizes.py --keep FOLDER [--prompts 256] [--samples 1] [--tokens 64]

In float32, with the base and the prompts of the pipeline that it is called in. Answers are sampled
at the pipeline's temperature with every batch size, and read again with as many tokens at once as
that many of the longest take. Prints one line a size: answers that are the same tokens as with the
first size, and the largest difference of a summed log-probability of the first size's answers.
Batches of 1 take an hour for a thousand answers: what a size sampled is kept in `--keep`, so that
sizes can be run one by one or side by side.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.generation.engine import Request
from spa.generation.transformers_engine import TransformersEngine
from spa.importing.prompts import read_prompts
from spa.layout import Layout
from spa.logprobs import score
from spa.models import Policy, load_policy
from spa.param_files import load_params
from spa.seeds import derive_seed


def compare(
    policy: Policy,
    requests: Sequence[Request],
    sizes: Sequence[int],
    *,
    temperature: float,
    tokens: int,
    keep: Path,
) -> None:
    """Sample and read with every batch size, and print how each differs from the first."""
    first: list[list[int]] = []
    known: list[float] = []
    for size in sizes:
        file = keep / f"{size}.json"
        if not file.exists():
            engine = TransformersEngine(
                policy, temperature=temperature, max_new_tokens=tokens, batch=size
            )
            start = time.perf_counter()
            found = [completion.tokens for completion in engine.complete(requests)]
            seconds = time.perf_counter() - start
            file.write_text(json.dumps({"answers": found, "seconds": seconds}), encoding="utf-8")
        kept = json.loads(file.read_text(encoding="utf-8"))
        answers = kept["answers"]
        first = first or answers
        sums = _read(policy, requests, first, size)
        known = known or sums
        same = sum(a == b for a, b in zip(first, answers, strict=True))
        apart = max(abs(a - b) for a, b in zip(known, sums, strict=True))
        print(
            f"batches of {size:>3}: {same} of {len(answers)} answers the same "
            f"({same / len(answers):.2%}), scores within {apart:.1e} nats; "
            f"{sum(map(len, answers))} tokens sampled in {kept['seconds']:.0f} s",
            flush=True,
        )


def _read(
    policy: Policy, requests: Sequence[Request], answers: Sequence[list[int]], size: int
) -> list[float]:
    sequences = [TokenSequence(r.prompt, a) for r, a in zip(requests, answers, strict=True)]
    longest = max(map(len, sequences))
    return [sum(row) for row in score(policy.model, sequences, token_budget=size * longest)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--samples", type=int, default=1, help="answers to each")
    parser.add_argument("--tokens", type=int, default=64, help="at most, an answer")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 3, 8, 16, 256])
    parser.add_argument("--keep", type=Path, required=True, help="folder, new for new settings")
    asked = parser.parse_args()
    asked.keep.mkdir(exist_ok=True, parents=True)
    layout = Layout.find()
    params = load_params(layout.params)
    policy = load_policy(layout.policy("base"), Compute(device="cpu"), dtype=torch.float32)
    prompts = read_prompts(str(params.split.prompts), layout.root)[: asked.prompts]
    requests = [
        Request(
            policy.encoder.prompt(prompt.prompt),
            derive_seed(0, "batches", prompt.prompt_id, str(sample)),
        )
        for prompt in prompts
        for sample in range(asked.samples)
    ]
    compare(
        policy,
        requests,
        asked.sizes,
        temperature=params.generate.temperature,
        tokens=asked.tokens,
        keep=asked.keep,
    )


if __name__ == "__main__":
    main()
