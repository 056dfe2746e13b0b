"""This project's own draw inside vLLM: a logits processor that leaves one token to choose.

So an answer follows from its own seed, as with the transformers engine, and both engines give
the same text unless two tokens are as near as their rounding. vLLM's own sampling with a seed
for each answer draws differently, and row by row.

Only vLLM's processes load this, by its bare name; spa.sampling and spa.seeds need nothing else
of spa and are loaded by their places.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

_SPA = Path(__file__).parents[2]


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"spa_{name}", _SPA / f"{name}.py")
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_draw = _load("sampling").draw
_draw_keys = _load("seeds").draw_keys


class Draw(LogitsProcessor):  # type: ignore[misc]
    """Draws the next token of every answer by `spa.sampling.draw`.

    A request's `extra_args` hold `seed`, the answer's, and `temperature`, one for all; vLLM itself
    is asked to be greedy. Log-probabilities are vLLM's, taken before any processor.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._rows: dict[int, tuple[Any, list[int]]] = {}  # keys, tokens so far
        self._temperature = 1.0

    def is_argmax_invariant(self) -> bool:
        """False, so that vLLM applies it to greedy requests too."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """Follow vLLM's rows as answers come, end and change places."""
        process_dict_updates(self._rows, batch_update, self._new_row)

    def _new_row(
        self, params: SamplingParams, prompt: list[int] | None, output: list[int]
    ) -> tuple[Any, list[int]]:
        own = params.extra_args
        self._temperature = own["temperature"]
        return _draw_keys(own["seed"], params.max_tokens), output

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Minus infinity in place of every logit but the drawn tokens'. Shape (rows, V)."""
        rows = (self._rows[i] for i in range(logits.shape[0]))
        keys = torch.from_numpy(np.stack([keys[len(output)] for keys, output in rows]))
        tokens = _draw(logits, keys.to(logits.device), temperature=self._temperature)
        return logits.fill_(-torch.inf).scatter_(-1, tokens.unsqueeze(-1), 0.0)
