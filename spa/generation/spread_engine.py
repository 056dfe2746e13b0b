"""Sampling with transformers in several processes, each with the whole model."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from spa.chunks import Chunks
from spa.compute import Compute
from spa.generation.engine import Completion, Request, content_order
from spa.generation.transformers_engine import TransformersEngine
from spa.models import choose_generate_batch, load_policy, share_of
from spa.processes import run_shares


@dataclass(frozen=True)
class SpreadEngine:
    """Shares requests out between `compute.processes`; see `spa.generation.engine.Engine`."""

    folder: Path
    temperature: float
    max_new_tokens: int
    compute: Compute
    chunks: Chunks | None = None

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request, in order; prompts of like length go to one process.

        Raises:
            ModelError: the folder cannot be read, or memory does not hold one answer.
            EngineError: a process was killed.
        """
        order = content_order(requests)
        processes = max(1, min(self.compute.processes, len(order)))
        shares = [[requests[i] for i in part] for part in np.array_split(order, processes)]
        answers = chain.from_iterable(run_shares(self._answer, shares))
        found = dict(zip(order, answers, strict=True))
        return [found[place] for place in range(len(requests))]

    def _answer(self, number: int, requests: Sequence[Request]) -> list[Completion]:
        own = share_of(self.compute, number)
        engine = TransformersEngine(
            load_policy(self.folder, own, chunks=self.chunks),
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
            batch=choose_generate_batch(own),
        )
        return engine.complete(requests)
