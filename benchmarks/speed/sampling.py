"""Sampling beside plain `generate`: the same batches, lengths and temperature."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from spa.generation.engine import Completion, Request
from spa.generation.transformers_engine import TransformersEngine
from spa.models import load_policy
from spa.seeds import derive_seed
from speed.ratios import Comparison
from speed.training import CPU

TEMPERATURE, TOKENS = 0.8, 64

COMPARISONS = (
    Comparison(
        "generate", "sampling:ours", ("sampling:plain",), 1.3,
        quantity="per_token", unit="ms/token",
        note="same batches; plain generate draws by torch.multinomial, no log-probabilities",
    ),
)  # fmt: skip


class PlainEngine(TransformersEngine):
    """The same requests in the same batches, sampled by `generate` itself."""

    @torch.no_grad()
    def _complete_batch(self, requests: Sequence[Request]) -> list[Completion]:
        policy, width = self._policy, max(len(r.prompt) for r in requests)
        input_ids = torch.zeros(len(requests), width, dtype=torch.long)
        mask = torch.zeros_like(input_ids)
        for row, request in enumerate(requests):
            input_ids[row, width - len(request.prompt) :] = torch.tensor(request.prompt)
            mask[row, width - len(request.prompt) :] = 1
        output = policy.model.generate(
            input_ids=input_ids,
            attention_mask=mask,
            do_sample=True,
            temperature=self._temperature,
            top_k=0,
            top_p=1.0,
            max_new_tokens=self._max_new_tokens,
            eos_token_id=list(policy.stop_tokens),
            pad_token_id=policy.stop_tokens[0],
        )
        return [_cut(row, policy.stop_tokens) for row in output[:, width:].tolist()]


def _cut(tokens: list[int], stops: tuple[int, ...]) -> Completion:
    end = next((n for n, token in enumerate(tokens) if token in stops), None)
    kept = tokens if end is None else tokens[: end + 1]
    return Completion(kept, [], finished=end is not None)


def ours(work: dict[str, Any]) -> dict[str, Any]:
    """The transformers engine as `spa generate` uses it."""
    return _sample(work, TransformersEngine)


def plain(work: dict[str, Any]) -> dict[str, Any]:
    """`generate` with its own draw."""
    return _sample(work, PlainEngine)


def _sample(work: dict[str, Any], kind: type[TransformersEngine]) -> dict[str, Any]:
    torch.manual_seed(1)
    policy = load_policy(Path(work["model"]), CPU)
    requests = [
        Request(pair["prompt"], derive_seed(1, "speed", n, sample))
        for n, pair in enumerate(work["pairs"])
        for sample in range(4)
    ]
    engine = kind(
        policy, temperature=TEMPERATURE, max_new_tokens=TOKENS, batch=work["generate_batch"]
    )
    start = time.perf_counter()
    answers = engine.complete(requests)
    seconds = time.perf_counter() - start
    tokens = sum(len(answer.tokens) for answer in answers)
    return {"seconds": seconds, "tokens": tokens, "per_token": 1000 * seconds / tokens}
