"""Rows of looked up tokens: autograd's gradient, without a matrix of the whole vocabulary."""

from typing import Any

import pytest
import torch
from torch import nn

from spa.embedding_gradient import by_row
from spa.encoding import TokenSequence
from spa.models import Policy
from spa.params import Train
from spa.token_pairs import TokenPair
from spa.training import Trainer

PASSES = ([[5, 6, 7, 5, 9]], [[8, 5, 5, 2, 1]])


def _gradients(model: Any, *, rows: bool) -> dict[str, torch.Tensor]:
    """Of two passes, each behind a beginning that is read apart."""
    model.zero_grad()
    for ids in PASSES:
        past = None
        for part in ([[3, 5, 4]], ids):
            if rows:
                with by_row(model):
                    output = model(torch.tensor(part), past_key_values=past, use_cache=True)
            else:
                output = model(torch.tensor(part), past_key_values=past, use_cache=True)
            past = output.past_key_values
        output.logits.log_softmax(-1)[..., 7].sum().backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.fixture(params=["tied", "untied"])
def model(request: pytest.FixtureRequest, tiny: Policy) -> Any:
    if request.param == "untied":
        tiny.model.lm_head.weight = nn.Parameter(tiny.model.lm_head.weight.detach().clone() * 2)
    return tiny.model


def test_gradients_are_those_of_autograd(model: Any) -> None:
    expected, found = _gradients(model, rows=False), _gradients(model, rows=True)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)


def test_no_lookup_makes_a_matrix(model: Any) -> None:
    layouts: list[torch.layout] = []
    with by_row(model):
        looked_up = model.get_input_embeddings().weight
        looked_up.register_hook(lambda gradient: layouts.append(gradient.layout))
        output = model(torch.tensor([[5, 6, 7]]))
    output.logits.sum().backward()
    assert layouts == [torch.sparse_coo]


def test_the_model_is_as_it_was_afterwards(model: Any) -> None:
    weights, table = dict(model.named_parameters()), model.get_input_embeddings()
    with pytest.raises(IndexError), by_row(model):
        model(torch.tensor([[1_000_000]]))
    assert not table.sparse
    assert all(weight is weights[name] for name, weight in model.named_parameters())


@pytest.mark.parametrize("why", ["frozen", "other"])
def test_what_cannot_take_rows_is_left_alone(why: str, tiny: Policy) -> None:
    table = tiny.model.get_input_embeddings()
    if why == "frozen":
        table.weight.requires_grad_(False)
    else:
        table.scale_grad_by_freq = True
    weight = table.weight
    with by_row(tiny.model):
        assert table.weight is weight
        assert not table.sparse


def test_training_adds_rows_to_the_same_gradients_in_every_step(tiny: Policy) -> None:
    settings = Train(batch_size=2, learning_rate=1e-3)
    pairs = [
        TokenPair(f"pair-{i}", TokenSequence([5, i], [7, 8]), TokenSequence([5, i], [9]))
        for i in range(2, 8)
    ]
    places: list[list[int]] = []
    by_rows: list[bool] = []
    table = tiny.model.get_input_embeddings()

    def note(*_: object) -> None:
        if torch.is_grad_enabled():
            by_rows.append(table.sparse)

    table.register_forward_pre_hook(note)

    def look(rows: object) -> None:
        gradients = [weight.grad for weight in tiny.model.parameters()]
        assert all(gradient is not None and not gradient.any() for gradient in gradients)
        places.append([gradient.data_ptr() for gradient in gradients])

    Trainer(
        tiny.model, settings, seed=1, round=1, load_reference=lambda: None, token_budget=64
    ).train(pairs, look)
    assert by_rows
    assert all(by_rows)
    assert len(places) == 3
    assert places[0] == places[1] == places[2]
