"""The vLLM engine: vLLM in processes of its own, in this environment or another, with our draw.

vLLM is given all prompts of a call at once and fills its batches itself.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from spa.chunks import Keep, anew
from spa.compute import Compute
from spa.errors import EngineError
from spa.generation.engine import Completion, Request, content_order
from spa.generation.vllm_process import VllmProcess
from spa.models import choose_device, choose_dtype

_KEPT = 64
"""Answers that are kept together, should the stage be killed."""


class VllmEngine:
    """Samples with vLLM; see `spa.generation.engine.Engine`.

    The same call gives the same answers. vLLM rounds by what else is in a batch, so that in
    another call an answer can differ, where two tokens are as near as that (docs/scale.md).
    Its processes start when they are first needed; `close` ends them.
    """

    def __init__(
        self,
        folder: Path,
        compute: Compute,
        *,
        temperature: float,
        max_new_tokens: int,
        stop_tokens: Sequence[int],
        keep: Keep = anew,
    ) -> None:
        """Sample from the policy in `folder` at `temperature`, at most `max_new_tokens` an answer.

        Args:
            folder: the policy's.
            compute: where vLLM is and how it is laid out.
            temperature: above 0.
            max_new_tokens: of one answer.
            stop_tokens: any of them ends an answer.
            keep: gives what was answered before the stage was killed.
        """
        self._compute = compute
        self._settings = {
            "llm": _arguments(folder, compute),
            "temperature": temperature,
            "max_new_tokens": max_new_tokens,
            "stop_tokens": list(stop_tokens),
        }
        self._work = [temperature, max_new_tokens]
        self._room = max_new_tokens
        self._keep = keep
        self._processes: list[VllmProcess] = []
        self._longest = 0
        self._asked = 0

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request.

        Raises:
            EngineError: vLLM cannot be started or fails, or a prompt is too long for it.
        """
        order = content_order(requests)
        groups = [order[start : start + _KEPT] for start in range(0, len(order), _KEPT)]
        answers: dict[int, Completion] = {}
        call: _Call | None = None
        with tqdm(total=len(order), desc="sampling", unit="answer", disable=None) as bar:
            for place, group in enumerate(groups):

                def make(place: int = place, group: list[int] = group) -> list[dict[str, Any]]:
                    nonlocal call
                    call = call or self._ask(requests, groups[place:])
                    return [asdict(completion) for completion in call.wait(group)]

                work = [*self._work, [[requests[i].seed, requests[i].prompt] for i in group]]
                rows = self._keep(work, make)
                answers |= {i: Completion(**row) for i, row in zip(group, rows, strict=True)}
                bar.update(len(group))
        return [answers[i] for i in range(len(requests))]

    def close(self) -> None:
        """End vLLM."""
        for process in self._processes:
            process.close()
        self._processes = []

    def _ask(self, requests: Sequence[Request], groups: Sequence[Sequence[int]]) -> "_Call":
        """Start what is not running and hand out all that is still to answer."""
        if not self._processes:
            self._start()
        longest = max(len(requests[i].prompt) for group in groups for i in group)
        room = self._room
        if longest + room > self._longest:
            raise EngineError(
                f"vLLM holds {self._longest} tokens: found a prompt of {longest} with an answer of "
                f"{room}; wanted both within; lower max_new_tokens or take the prompt out"
            )
        first, self._asked = self._asked, self._asked + len(requests)
        return _Call(self._processes, requests, groups, first)

    def _start(self) -> None:
        settings = self._compute.vllm
        for rank in range(settings.data_parallel):
            self._processes.append(
                VllmProcess(
                    settings.interpreter,
                    {**self._settings, "cores": _cores(self._compute, rank)},
                    patience=settings.patience,
                    environment={"CUDA_VISIBLE_DEVICES": _cards(self._compute, rank)},
                )
            )
        self._longest = min(process.longest() for process in self._processes)


class _Call:
    """Requests under way: every process has its share of the groups, answered in order."""

    def __init__(
        self,
        processes: Sequence[VllmProcess],
        requests: Sequence[Request],
        groups: Sequence[Sequence[int]],
        first: int,
    ) -> None:
        """Hand out the groups; `first` begins numbers that no call had before."""
        self._first = first
        self._stream_of: dict[int, Iterator[tuple[int, Completion]]] = {}
        self._done: dict[int, Completion] = {}
        for rank, process in enumerate(processes):
            share = [i for group in groups[rank :: len(processes)] for i in group]
            process.ask({first + i: requests[i] for i in share})
            self._stream_of |= dict.fromkeys(share, process.answers())

    def wait(self, group: Sequence[int]) -> list[Completion]:
        """The answers of one group."""
        for i in group:
            while i not in self._done:
                number, completion = next(self._stream_of[i])
                self._done[number - self._first] = completion
        return [self._done.pop(i) for i in group]


def _arguments(folder: Path, compute: Compute) -> dict[str, Any]:
    """Arguments of vLLM's LLM."""
    return {
        **compute.vllm.options,
        "model": str(folder.resolve()),
        "dtype": str(choose_dtype(compute)).removeprefix("torch."),
        "tensor_parallel_size": compute.vllm.tensor_parallel,
        "load_format": "safetensors",
        "trust_remote_code": False,
        "generation_config": "vllm",  # the folder's defaults of sampling are not for us
        "skip_tokenizer_init": True,
        "seed": 0,
    }


def _cards(compute: Compute, rank: int) -> str:
    """The GPUs of one copy of the model, from the first that this pipeline may use."""
    each, first = compute.vllm.tensor_parallel, choose_device(compute).index or 0
    wanted = range(first + rank * each, first + (rank + 1) * each)
    visible = [card for card in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if card]
    if visible and wanted.stop > len(visible):
        raise EngineError(
            f"CUDA_VISIBLE_DEVICES: found {len(visible)} GPUs; vllm.tensor_parallel and "
            f"vllm.data_parallel in compute.yaml want {wanted.stop} or more; lower them"
        )
    return ",".join(visible[i] if visible else str(i) for i in wanted)


def _cores(compute: Compute, rank: int) -> list[int]:
    """The CPU cores of one copy of the model; none where all may use all."""
    copies = compute.vllm.data_parallel
    if copies == 1 or choose_device(compute).type != "cpu" or sys.platform != "linux":
        return []
    cores = sorted(os.sched_getaffinity(0))
    each = max(1, len(cores) // copies)
    return [cores[i % len(cores)] for i in range(rank * each, (rank + 1) * each)]
