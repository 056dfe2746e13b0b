"""Do answers and scores depend on how many are worked on at once?

    python benchmarks/batch_sizes.py [--prompts 256] [--tokens 64] [--sizes 1 3 8 16 256]

In float32, with the base and the prompts of the pipeline that it is called in. Answers are sampled
at the pipeline's temperature with every batch size, and read again with as many tokens at once as
that many of the longest take. Prints one line a size: answers that are the same tokens as with the
first size, and the largest difference of a summed log-probability of the first size's answers.
"""

import argparse
import time
from collections.abc import Sequence

import torch

from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.generation.engine import Completion, Request
from spa.generation.transformers_engine import TransformersEngine
from spa.importing.prompts import read_prompts
from spa.layout import Layout
from spa.logprobs import score
from spa.models import Policy, load_policy
from spa.param_files import load_params
from spa.seeds import derive_seed


def compare(
    policy: Policy, requests: Sequence[Request], sizes: Sequence[int], **draw: float
) -> None:
    """Sample and read with every batch size, and print how each differs from the first."""
    first: list[Completion] = []
    known: list[float] = []
    for size in sizes:
        start = time.perf_counter()
        answers = _sample(policy, requests, size, **draw)
        sampled = time.perf_counter() - start
        first = first or answers
        sums = _read(policy, requests, first, size)
        known = known or sums
        same = sum(a.tokens == b.tokens for a, b in zip(first, answers, strict=True))
        apart = max(abs(a - b) for a, b in zip(known, sums, strict=True))
        tokens = sum(len(answer.tokens) for answer in answers)
        print(
            f"batches of {size:>3}: {same} of {len(answers)} answers the same "
            f"({same / len(answers):.2%}), scores within {apart:.1e} nats; {tokens} tokens sampled "
            f"in {sampled:.0f} s",
            flush=True,
        )


def _sample(
    policy: Policy, requests: Sequence[Request], size: int, *, temperature: float, tokens: float
) -> list[Completion]:
    engine = TransformersEngine(
        policy, temperature=temperature, max_new_tokens=int(tokens), batch=size
    )
    return engine.complete(requests)


def _read(
    policy: Policy, requests: Sequence[Request], answers: Sequence[Completion], size: int
) -> list[float]:
    sequences = [TokenSequence(r.prompt, a.tokens) for r, a in zip(requests, answers, strict=True)]
    longest = max(map(len, sequences))
    return [sum(row) for row in score(policy.model, sequences, token_budget=size * longest)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=64, help="at most, an answer")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 3, 8, 16, 256])
    asked = parser.parse_args()
    layout = Layout.find()
    params = load_params(layout.params)
    policy = load_policy(layout.policy("base"), Compute(device="cpu"), dtype=torch.float32)
    prompts = read_prompts(str(params.split.prompts), layout.root)[: asked.prompts]
    requests = [
        Request(policy.encoder.prompt(prompt.prompt), derive_seed(0, "batches", prompt.prompt_id))
        for prompt in prompts
    ]
    compare(
        policy,
        requests,
        asked.sizes,
        temperature=params.generate.temperature,
        tokens=asked.tokens,
    )


if __name__ == "__main__":
    main()
