"""How several processes train one policy, each with all of its weights or with a part of each.

Each process reads its share of a step's pairs; the gradient is that of all. What is the same for
one process is here too, so that the training loop is written once.
"""

import atexit
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from spa.launching import join
from spa.sharding import shard, whole

T = TypeVar("T")


class Distribution:
    """This process's place among those that train, on accelerate.

    Attributes:
        count: how many processes there are.
        first: whether this is the one that logs and writes.
        sharded: whether each holds a part of every weight.
    """

    def __init__(self, device: torch.device, *, bfloat16: bool, sharded: bool) -> None:
        """Join the other processes that a launcher started, if it did.

        Args:
            device: the model's.
            bfloat16: compute in bfloat16 with float32 weights.
            sharded: give each process a part of every weight, in place of all.
        """
        join(device)
        self._accelerator = Accelerator(
            cpu=device.type == "cpu",
            mixed_precision="bf16" if bfloat16 else "no",
        )
        self.count: int = self._accelerator.num_processes
        if distributed.is_initialized():
            # its threads need the interpreter, and abort a process whose interpreter has gone
            atexit.register(distributed.destroy_process_group)
        self.first: bool = self._accelerator.is_main_process
        self.sharded = sharded
        self._bfloat16 = bfloat16

    def own(self, items: Sequence[T]) -> Sequence[T]:
        """This process's share of what all processes do together."""
        return items[self._accelerator.process_index :: self.count]

    def passes(self, items: Sequence[T], most: int) -> list[tuple[Sequence[T], bool]]:
        """This process's share of items in passes of at most `most`, and whether each counts.

        Where weights are in parts all processes make the same number of passes: one that has
        fewer items repeats a pass, which does not count.
        """
        own = self.own(items)
        passes = [(own[start : start + most], True) for start in range(0, len(own), most)]
        wanted = -(-len(items[:: self.count]) // most) if self.sharded else len(passes)
        spare = passes[-1][0] if passes else items[:1]
        return passes + [(spare, False)] * (wanted - len(passes))

    def place(
        self, model: Any, optimizer: Callable[[list[Tensor]], torch.optim.Optimizer]
    ) -> tuple[Any, Any]:
        """The model to call and the optimiser to step with, of the weights that are trained."""
        if self.sharded:
            shard(model, self.count, bfloat16=self._bfloat16)
        made = optimizer([weight for weight in model.parameters() if weight.requires_grad])
        if self.sharded:
            return model, made
        placed, optimiser = self._accelerator.prepare(model, made)
        if isinstance(placed, DistributedDataParallel):
            # processes differ in how many forward passes a step takes: none may wait there
            placed.broadcast_buffers = False
        return placed, optimiser

    def place_reference(self, model: Any) -> Any:
        """A model that is only read, beside the one that is trained."""
        if self.sharded:
            shard(model, self.count, bfloat16=self._bfloat16)
        return model

    def autocast(self) -> AbstractContextManager[Any]:
        """Within this, passes compute in the precision that was asked for."""
        context: AbstractContextManager[Any] = self._accelerator.autocast()
        return context

    def gradients(self, model: Any, *, last: bool) -> AbstractContextManager[Any]:
        """Around a pass: whole gradients of all processes meet in a step's last one alone."""
        if last or self.sharded:
            return nullcontext()
        context: AbstractContextManager[Any] = self._accelerator.no_sync(model)
        return context

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradient, of which the processes' mean counts."""
        self._accelerator.backward(loss)

    def clip(self, model: Any, norm: float) -> float:
        """Shorten the gradient to a norm; returns the norm that it had."""
        return float(whole(self._accelerator.clip_grad_norm_(model.parameters(), norm)))

    def gather(self, items: Sequence[T]) -> list[T]:
        """The items of all processes, on each."""
        found: list[T] = gather_object(list(items))
        return found

    def saves(self, due: bool) -> bool:
        """Whether this process takes part in a checkpoint, `due` being what it thinks of the time.

        Parts come from all processes, on the first one's word; whole weights are its own.
        """
        if not self.sharded:
            return self.first and due
        word = [due]
        broadcast_object_list(word)
        return word[0]
