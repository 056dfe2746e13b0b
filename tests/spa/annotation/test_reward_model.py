"""A reward model as annotator: its own numbers, whatever shares a batch."""

import math
from pathlib import Path

import pytest
import torch

from spa.annotation.annotator import Answer, Comparison
from spa.annotation.reward_model import RewardModelAnnotator, load_reward_model
from spa.compute import Compute
from spa.errors import ModelError
from spa.records import Message
from tests.tiny import write_reward_model

CPU = Compute(device="cpu")
PROMPT: list[Message] = [{"role": "user", "content": "Why does bread rise?"}]
ANSWERS = [Answer(text, "stop") for text in ("Yeast makes gas.", "Heat.", "Gas!!", "It is so, and")]


@torch.no_grad()
def test_rewards_are_the_models_own_at_the_last_token(tmp_path: Path) -> None:
    """Also where the last token, the end of the turn, is what the model pads with."""
    model = load_reward_model(write_reward_model(tmp_path), CPU)
    found = RewardModelAnnotator(model, token_budget=512).rate([(PROMPT, a) for a in ANSWERS])
    for answer, reward in zip(ANSWERS, found, strict=True):
        turns = [*PROMPT, {"role": "assistant", "content": answer.text}]
        text = model.encoder.tokenizer.apply_chat_template(turns, tokenize=False)
        ids = model.encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
        hidden = model.model.model(input_ids=torch.tensor([ids])).last_hidden_state
        assert reward == pytest.approx(float(model.model.score(hidden)[0, -1, 0]), abs=1e-5)
    assert len(set(found)) == len(ANSWERS)


def test_preference_is_bradley_and_terrys(tmp_path: Path) -> None:
    annotator = RewardModelAnnotator(
        load_reward_model(write_reward_model(tmp_path), CPU), token_budget=1
    )
    first, second = annotator.rate([(PROMPT, a) for a in ANSWERS[:2]])
    comparisons = [Comparison(PROMPT, ANSWERS[0], ANSWERS[1])]
    [found] = annotator.prefer(comparisons)
    assert found == pytest.approx(1 / (1 + math.exp(first - second)))


def test_a_classifier_of_several_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has 3 outputs; wanted a reward model with one"):
        load_reward_model(write_reward_model(tmp_path, outputs=3), CPU)
