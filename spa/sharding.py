"""A model whose weights are shared out between processes, each of which holds a part of each one.

Weights, gradients and AdamW's moments are such parts then; those of one layer at a time come
together where it computes. Every process must make the same passes through such a model.
Source: ZeRO, arXiv:1910.02054, stage 3; FSDP, arXiv:2304.11277, as torch's `fully_shard` has it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(model: Any, processes: int, *, bfloat16: bool = False) -> None:
    """Leave each process its part of a model's weights; in place, together in all processes.

    Args:
        model: a transformers model, the same in every process.
        processes: how many there are; their group has been set up.
        bfloat16: bring layers together in that; parts and the sums of gradients stay float32.
            Left to autocast, whole layers in bfloat16 would stay from forward to backward pass.
    """
    mesh = init_device_mesh(model.device.type, (processes,))
    low = torch.bfloat16 if bfloat16 else None
    policy = MixedPrecisionPolicy(low, low and torch.float32, cast_forward_inputs=False)
    blocks = set(getattr(model, "_no_split_modules", None) or ())
    for module in list(model.modules()):
        if type(module).__name__ in blocks:
            fully_shard(module, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh)


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be in parts; asked for in all processes together."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part(full: Tensor, like: Tensor) -> Tensor:
    """This process's part of a tensor, laid out as `like` is; all of it where that is whole."""
    if not isinstance(like, DTensor) or full.shape != like.shape:
        return full
    return distribute_tensor(full.to(like.device), like.device_mesh, like.placements)


def gathered(tensors: Mapping[str, Tensor], *, keep: bool) -> dict[str, Tensor]:
    """Whole tensors on the CPU, one after the other; two names of one tensor stay of one.

    Args:
        tensors: in parts or not, the same in all processes, which ask together.
        keep: whether this process gets them; one that does not gets none.
    """
    found: dict[int, Tensor] = {}
    for tensor in tensors.values():
        if id(tensor) not in found:
            full = whole(tensor)
            found[id(tensor)] = full.cpu().contiguous() if keep else tensor
    return {name: found[id(tensor)] for name, tensor in tensors.items()} if keep else {}
