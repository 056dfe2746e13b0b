"""Batches by hand, and that what is read once changes no score and no gradient."""

import copy
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM

from spa.batches import ROW, answer_logits, join_prompts, make_batch, row_length, row_limit
from spa.encoding import TokenSequence
from spa.errors import ModelError
from spa.logprobs import score, token_logprobs
from spa.models import Policy
from tests.spa.token_sequences import answers_to_one, sequences

CPU = torch.device("cpu")
FEW = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 300}


def test_only_answer_tokens_are_targets_and_no_last_one_is_read() -> None:
    batch = make_batch([TokenSequence([1, 2], [3]), TokenSequence([4, 5, 6], [7, 8])], CPU)
    assert batch.prefix.tolist() == [[]]
    assert batch.input_ids.tolist() == [[1, 2, 0, 0], [4, 5, 6, 7]]
    assert batch.targets.tolist() == [[3, 0, 0], [0, 7, 8]]
    assert batch.owner.tolist() == [[0, -1, -1], [-1, 1, 1]]
    assert batch.attention is None
    assert batch.positions is None


def test_answers_to_one_prompt_stand_behind_it_and_do_not_see_each_other() -> None:
    pair = [TokenSequence([1, 2], [3, 4]), TokenSequence([1, 2], [5])]
    batch = make_batch(pair, CPU, most=99)
    assert batch.input_ids.tolist() == [[1, 2, 3, 2]]  # 2 predicts the first token of each
    assert batch.targets.tolist() == [[3, 4, 5]]
    assert batch.owner.tolist() == [[0, 0, 1]]
    assert batch.positions is not None
    assert batch.attention is not None
    assert batch.positions.tolist() == [[0, 1, 2, 1]]
    assert batch.attention[0, 0].int().tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [1, 0, 0, 1],
    ]


def test_sums_and_lengths_are_those_of_each_answer() -> None:
    batch = make_batch(
        [TokenSequence([1], [2, 3]), TokenSequence([4], [5]), TokenSequence([1], [6])], CPU, most=9
    )
    values = torch.tensor(
        [[1.0, 2.0, 4.0], [8.0, -torch.inf, torch.nan]]
    )  # padding's count nothing
    assert batch.sums(values).tolist() == [3.0, 8.0, 4.0]
    assert batch.lengths().tolist() == [2, 1, 1]
    assert batch.rows(values) == [[1.0, 2.0], [8.0], [4.0]]


def test_an_empty_answer_takes_no_place() -> None:
    asked = [TokenSequence([1, 2], [3]), TokenSequence([1, 2], []), TokenSequence([4], [])]
    batch = make_batch(asked, CPU, most=99)
    assert batch.input_ids.tolist() == [[1, 2], [0, 0]]
    assert batch.lengths().tolist() == [1, 0, 0]
    assert batch.sums(torch.tensor([[5.0, 7.0], [9.0, 9.0]])).tolist() == [7.0, 0.0, 0.0]


def test_rows_hold_every_answer_once_within_the_limit() -> None:
    asked = [*answers_to_one(), *sequences(3), *answers_to_one()]
    for most in (0, 40, 1000):
        rows = join_prompts(asked, most)
        assert sorted(i for row in rows for i in row) == list(range(len(asked)))
        assert all(len({tuple(asked[i].prompt) for i in row}) == 1 for row in rows)
        assert all(row_length([asked[i] for i in row]) <= most for row in rows if len(row) > 1)
    assert len(join_prompts(asked, 1000)) == 4


@pytest.mark.parametrize(
    ("prompts", "prefix"),
    [
        ([[1, 2, 3], [1, 2, 4]], [1, 2]),
        ([[1, 2, 3], [1, 2, 3]], [1, 2]),
        ([[1, 2], [1, 2, 3, 4]], [1]),
        ([[1], [1, 2]], []),
        ([[5, 2], [1, 2]], []),
        ([[1, 2, 3]], []),
    ],
)
def test_a_batch_shares_what_all_its_prompts_begin_with(
    prompts: list[list[int]], prefix: list[int]
) -> None:
    asked = [TokenSequence(p, [9] * (i + 1)) for i, p in enumerate(prompts)]
    batch = make_batch(asked, CPU)
    assert batch.prefix.tolist() == [prefix]
    for row, sequence in enumerate(asked):
        ids = sequence.prompt + sequence.answer[:-1]
        kept = batch.input_ids[row, : len(ids) - len(prefix)].tolist()
        assert prefix + kept == ids
        assert batch.targets[batch.owner == row].tolist() == sequence.answer


@pytest.mark.parametrize("system", [[], [3, 5, 8, 13, 21, 34, 55]])
def test_what_is_read_once_changes_neither_scores_nor_gradients(
    tiny: Policy, system: list[int]
) -> None:
    asked = [TokenSequence(system + s.prompt, s.answer) for s in (*sequences(3), *answers_to_one())]
    gradients = []
    for parts in ([asked], [[s] for s in asked]):
        model = copy.deepcopy(tiny.model)
        total = torch.zeros(())
        for part in parts:
            batch = make_batch(part, CPU, most=row_limit(model))
            assert batch.prefix.numel() == (len(system) if len(part) > 1 else 0)
            assert (batch.attention is None) == (len(part) == 1)
            total = (
                total + batch.sums(token_logprobs(answer_logits(model, batch), batch.targets)).sum()
            )
        torch.autograd.backward(total)
        gradients.append((total.detach(), [p.grad for p in model.parameters()]))
    assert_close(gradients[0][0], gradients[1][0])
    for shared, alone in zip(gradients[0][1], gradients[1][1], strict=True):
        assert_close(shared, alone, rtol=1e-3, atol=1e-5)


def _random(kind: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    make: Any = AutoModelForCausalLM.from_config
    return make(AutoConfig.for_model(kind, **settings)).eval()


def _state_space() -> Any:
    return _random("mamba", hidden_size=16, num_hidden_layers=2, vocab_size=300, state_size=4)


def _alibi() -> Any:
    return _random("bloom", hidden_size=16, n_layer=2, n_head=2, vocab_size=300)


def _windowed() -> Any:
    return _random("mistral", sliding_window=30, intermediate_size=16, num_key_value_heads=1, **FEW)


def test_a_row_is_as_long_as_the_model_sees(tiny: Policy) -> None:
    assert row_limit(tiny.model) == ROW
    assert row_limit(_windowed()) == 30


@pytest.mark.parametrize("make", [_state_space, _alibi])
def test_models_that_heed_no_mask_or_position_of_ours_read_each_answer_by_itself(make: Any) -> None:
    assert row_limit(make()) == 0


@pytest.mark.parametrize("make", [_windowed, _alibi])
def test_other_architectures_score_as_one_answer_at_a_time(make: Any) -> None:
    model, asked = make(), [*sequences(3), *answers_to_one()]
    together = score(model, asked, token_budget=1000)
    for found, one in zip(together, asked, strict=True):
        assert found == pytest.approx(score(model, [one], token_budget=1)[0], abs=1e-5)


def test_half_precision_and_other_attention_read_each_answer_by_itself(tiny: Policy) -> None:
    assert row_limit(copy.deepcopy(tiny.model).to(torch.bfloat16)) == 0
    eager = copy.deepcopy(tiny.model)
    eager.set_attn_implementation("eager")
    assert row_limit(eager) == 0


def test_a_model_without_keys_and_values_is_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match="MambaForCausalLM keeps no keys and values"):
        score(_state_space(), answers_to_one(), token_budget=1000)


@pytest.mark.parametrize(("least", "prefix"), [(0.25, [7, 7]), (0.26, [])])
def test_a_common_beginning_is_read_apart_where_it_saves_enough(
    least: float, prefix: list[int]
) -> None:
    """Two rows of four tokens, of which two are the same twice: 2 of 8 are saved."""
    asked = [TokenSequence([7, 7, 1], [3]), TokenSequence([7, 7, 2], [4])]
    batch = make_batch(asked, CPU, least_saving=least)
    assert batch.prefix.tolist() == [prefix]
