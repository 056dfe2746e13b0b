"""A language model as annotator: against a slow loop, and what cancels out."""

import math

import pytest
import torch

from spa.annotation.annotator import Answer, Comparison
from spa.annotation.llm import LlmAnnotator, ask
from spa.models import Policy
from spa.records import Message

PROMPT: list[Message] = [{"role": "user", "content": "Why does bread rise?"}]
GAS, HEAT = Answer("Yeast makes gas.", "stop"), Answer("The heat of the oven", "length")


@torch.no_grad()
def _second(policy: Policy, first: Answer, second: Answer) -> float:
    """P(B) against P(A) after the question, unbatched, in float64."""
    asked: list[Message] = [{"role": "user", "content": ask(PROMPT, first, second)}]
    logits = policy.model(input_ids=torch.tensor([policy.encoder.prompt(asked)])).logits[0, -1]
    a, b = (policy.encoder.tokenizer.convert_tokens_to_ids(letter) for letter in "AB")
    return 1 / (1 + math.exp(float(logits[a].double() - logits[b].double())))


def test_the_preference_is_the_mean_of_both_orders(tiny: Policy) -> None:
    forth, back = _second(tiny, GAS, HEAT), _second(tiny, HEAT, GAS)
    [found] = LlmAnnotator(tiny, token_budget=64).prefer([Comparison(PROMPT, GAS, HEAT)])
    assert found == pytest.approx((forth + 1 - back) / 2, abs=1e-5)
    assert abs(forth - found) > 1e-4  # one order alone says something else


def test_the_order_of_the_answers_cancels_out_at_any_batch_size(tiny: Policy) -> None:
    for budget in (1, 4096):
        forth, back, same = LlmAnnotator(tiny, token_budget=budget).prefer(
            [
                Comparison(PROMPT, GAS, HEAT),
                Comparison(PROMPT, HEAT, GAS),
                Comparison(PROMPT, GAS, GAS),
            ]
        )
        assert forth + back == pytest.approx(1, abs=1e-5)
        assert same == pytest.approx(0.5, abs=1e-6)


def test_every_turn_of_a_conversation_is_shown() -> None:
    turns: list[Message] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Why?"},
    ]
    text = ask(turns, GAS, HEAT)
    assert "system: Be kind.\n\nuser: Why?" in text
    assert text.index("Yeast makes gas.") < text.index("The heat of the oven")
