"""The vLLM engine: vLLM in processes of its own, in this environment or another, with our draw.

vLLM is given all prompts of a call at once and fills its batches itself.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
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
        self._settings: dict[str, Any] = {
            "llm": _arguments(folder, compute),
            "temperature": temperature,
            "max_new_tokens": max_new_tokens,
            "stop_tokens": list(stop_tokens),
        }
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
        call = _Call(self._ready, requests, groups, first=self._asked)
        self._asked += len(requests)
        answers: dict[int, Completion] = {}
        with tqdm(total=len(order), desc="sampling", unit="answer", disable=None) as bar:
            for place, group in enumerate(groups):
                work = [
                    self._settings["temperature"],
                    self._settings["max_new_tokens"],
                    [[requests[i].seed, requests[i].prompt] for i in group],
                ]
                rows = self._keep(work, partial(call.answer, place))
                answers |= {i: Completion(**row) for i, row in zip(group, rows, strict=True)}
                bar.update(len(group))
        return [answers[i] for i in range(len(requests))]

    def close(self) -> None:
        """End vLLM."""
        for process in self._processes:
            process.close()
        self._processes = []

    def _ready(self, prompt: int) -> Sequence[VllmProcess]:
        """The processes, started if need be, where they hold an answer to so long a prompt."""
        if not self._processes:
            self._start()
        room = self._settings["max_new_tokens"]
        if prompt + room > self._longest:
            raise EngineError(
                f"vLLM holds {self._longest} tokens: found a prompt of {prompt} with an answer of "
                f"{room}; wanted both within; lower max_new_tokens or take the prompt out"
            )
        return self._processes

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
    """The requests of one call, handed out to all processes when the first answer is wanted."""

    def __init__(
        self,
        ready: Callable[[int], Sequence[VllmProcess]],
        requests: Sequence[Request],
        groups: Sequence[Sequence[int]],
        *,
        first: int,
    ) -> None:
        """Hand out nothing yet.

        Args:
            ready: gives the processes, for the longest prompt.
            requests: all of the call.
            groups: their places, as they are waited for.
            first: begins numbers that no other call of these processes has.
        """
        self._ready = ready
        self._requests = requests
        self._groups = groups
        self._first = first
        self._sources: dict[int, Iterator[tuple[int, Completion]]] = {}
        self._done: dict[int, Completion] = {}

    def answer(self, place: int) -> list[dict[str, Any]]:
        """The answers of one group, as JSON has them; groups before it are not asked for."""
        if not self._sources:
            self._ask(self._groups[place:])
        group = self._groups[place]
        for i in group:
            while i not in self._done:
                number, completion = next(self._sources[i])
                self._done[number - self._first] = completion
        return [asdict(self._done.pop(i)) for i in group]

    def _ask(self, groups: Sequence[Sequence[int]]) -> None:
        """Share every group out, so that it is answered by all processes at once."""
        longest = max(len(self._requests[i].prompt) for group in groups for i in group)
        processes = self._ready(longest)
        count = len(processes)
        for rank, process in enumerate(processes):
            share = [
                i
                for group in groups
                for i in group[rank * len(group) // count : (rank + 1) * len(group) // count]
            ]
            process.ask({self._first + i: self._requests[i] for i in share})
            self._sources |= dict.fromkeys(share, process.answers())


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
