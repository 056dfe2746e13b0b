"""What a policy says of pairs, against a slow loop over their answers."""

import math
from typing import Any

import pytest
import torch

from spa.distribution import Distribution
from spa.encoding import TokenSequence
from spa.logprobs import score
from spa.margins import Margins
from spa.models import Policy
from spa.params import Train
from tests.spa.test_training import _pairs


def _never() -> Any:
    raise AssertionError("a reference model was loaded")


def _margins(
    policy: Policy,
    load_reference: Any = _never,
    *,
    sharded: bool = False,
    lambda_: float = 0.0,
) -> Margins:
    settings: dict[str, Any] = {"beta": 0.5, "lambda": lambda_}
    return Margins(
        policy.model,
        Train(**settings),
        Distribution(policy.model.device, bfloat16=False, sharded=sharded),
        load_reference=load_reference,
        adapter=None,
        token_budget=64,
        recompute=False,
    )


def _slow(policy: Policy) -> list[tuple[float, float]]:
    rows = [score(policy.model, [p.chosen, p.rejected], token_budget=1) for p in _pairs(5)]
    return [(math.fsum(chosen), math.fsum(rejected)) for chosen, rejected in rows]


@pytest.mark.parametrize("sharded", [False, True])
def test_references_are_sums_over_each_answer(tiny: Policy, sharded: bool) -> None:
    found = _margins(tiny, sharded=sharded).references(_pairs(5), 2)
    assert list(found) == [pair.pair_id for pair in _pairs(5)]
    for own, wanted in zip(found.values(), _slow(tiny), strict=True):
        assert own == pytest.approx(wanted, abs=1e-4)


def test_margins_are_gains_of_chosen_over_rejected_times_beta(tiny: Policy) -> None:
    pairs, slow = _pairs(5), _slow(tiny)
    references = {
        pair.pair_id: (chosen - 2.0, rejected + number)
        for number, (pair, (chosen, rejected)) in enumerate(zip(pairs, slow, strict=True))
    }
    margin, nll, unseen = _margins(tiny).read(tiny.model, pairs, references, look=False)
    assert unseen is None
    assert margin.requires_grad
    assert margin.tolist() == pytest.approx([0.5 * (2.0 + i) for i in range(5)], abs=1e-4)
    wanted = [-chosen / len(p.chosen.answer) for p, (chosen, _) in zip(pairs, slow, strict=True)]
    assert nll.tolist() == pytest.approx(wanted, abs=1e-4)


def test_the_policy_is_read_as_it_is_called_in_its_wrapping(tiny: Policy) -> None:
    """Under several processes the wrapping is what brings their gradients together."""
    passes: list[Any] = []

    def wrapped(**named: Any) -> Any:
        passes.append(named)
        return tiny.model(**named)

    margins = _margins(tiny)
    references = margins.references(_pairs(5), 1)
    margins.read(wrapped, _pairs(5), references, look=False)
    assert passes


def test_at_lambda_0_the_extrapolated_policy_is_the_policy(tiny: Policy) -> None:
    pairs = _pairs(5)
    margins = _margins(tiny, lambda_=0.0)
    references = margins.references(pairs, 1)
    margin, _, extrapolated = margins.read(tiny.model, pairs, references, look=True)
    assert extrapolated is not None
    assert torch.equal(extrapolated, margin.detach())
    assert not extrapolated.requires_grad


def test_extrapolated_margins_go_further_from_another_reference(
    tiny: Policy, other: Policy
) -> None:
    margin, extrapolated = _extrapolated(tiny, other)
    assert not torch.allclose(extrapolated, margin, atol=1e-3)


def test_what_the_detector_adds_to_a_margin_is_the_logarithm_of_two_partition_sums(
    tiny: Policy, other: Policy
) -> None:
    """Extrapolated margin = (1 + l) margin - beta (sum log Z_w - sum log Z_l), in float64."""
    margin, extrapolated = _extrapolated(tiny, other)
    partitions = [_log_partition(tiny, other, p.chosen, p.rejected, weight=0.5) for p in _pairs(5)]
    wanted = [
        1.5 * own - 0.5 * (chosen - rejected)
        for own, (chosen, rejected) in zip(margin.tolist(), partitions, strict=True)
    ]
    assert extrapolated.tolist() == pytest.approx(wanted, abs=1e-4)
    assert any(abs(chosen - rejected) > 0.01 for chosen, rejected in partitions)


def _extrapolated(policy: Policy, reference: Policy) -> tuple[torch.Tensor, torch.Tensor]:
    """Margins of five pairs against another model, and the extrapolated ones at lambda 0.5."""
    pairs = _pairs(5)
    references = _margins(reference).references(pairs, 1)
    margins = _margins(policy, lambda: reference.model, lambda_=0.5)
    margin, _, extrapolated = margins.read(policy.model, pairs, references, look=True)
    assert extrapolated is not None
    return margin.detach(), extrapolated


def _log_partition(
    policy: Policy, reference: Policy, *answers: TokenSequence, weight: float
) -> list[float]:
    """Of each answer: sum over its tokens of log sum_v p(v)^(1 + l) p_ref(v)^-l."""
    found = []
    for answer in answers:
        ids = torch.tensor([[*answer.prompt, *answer.answer]])
        with torch.no_grad():
            p, r = (
                m.model(input_ids=ids)
                .logits[0, len(answer.prompt) - 1 : -1]
                .double()
                .log_softmax(-1)
                for m in (policy, reference)
            )
        found.append(float(torch.logsumexp((1 + weight) * p - weight * r, -1).sum()))
    return found
