"""Tensors that may be in parts, here of one process; two train in tests/pipeline."""

import torch

from spa.models import Policy
from spa.sharding import gathered, part, whole


def test_what_is_whole_stays_as_it_is() -> None:
    tensor = torch.arange(6.0, requires_grad=True)
    assert whole(tensor).data_ptr() == tensor.data_ptr()
    assert not whole(tensor).requires_grad
    assert part(tensor, torch.zeros(6)) is tensor


def test_tied_weights_come_as_one_tensor_under_both_names(tiny: Policy) -> None:
    named = dict(tiny.model.named_parameters(remove_duplicate=False))
    found = gathered(named, keep=True)
    assert found.keys() == named.keys()
    assert all(torch.equal(found[name], weight) for name, weight in named.items())
    assert found["lm_head.weight"] is found["model.embed_tokens.weight"]
    assert gathered(named, keep=False) == {}
