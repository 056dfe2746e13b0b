"""The draw: the right distribution, nothing but its own key, and rounding matters little."""

import torch
from torch import Tensor

from spa.sampling import draw


def _keys(count: int, seed: int = 2) -> Tensor:
    bits = torch.Generator().manual_seed(seed)
    return torch.randint(-(2**63), 2**63 - 1, (count,), generator=bits)


def _logits(rows: int, columns: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)) * 2


def test_draws_follow_the_softmax_at_the_temperature() -> None:
    """300 tokens: 128 run one by one, the others (a tenth of the mass here) behind them."""
    count = 40_000
    logits = _logits(1, 300) / 2
    wanted = torch.softmax(logits[0] / 0.7, -1)
    tokens = draw(logits.expand(count, -1), _keys(count), temperature=0.7)
    found = torch.bincount(tokens, minlength=300)
    assert wanted.sort().values[:172].sum() > 0.05
    chi_square = float(((found - count * wanted) ** 2 / (count * wanted)).sum())
    assert 299 - 4 * (2 * 299) ** 0.5 < chi_square < 299 + 4 * (2 * 299) ** 0.5


def test_neighbouring_keys_draw_independently() -> None:
    logits = torch.zeros(100_000, 2)
    first = draw(logits, torch.arange(100_000), temperature=1.0)
    assert abs(float(first.double().mean()) - 0.5) < 0.01
    assert abs(float((first[1:] == first[:-1]).double().mean()) - 0.5) < 0.01


def test_neighbours_do_not_matter() -> None:
    logits, keys = _logits(16, 400), _keys(16)
    together = draw(logits, keys, temperature=0.9)
    alone = [int(draw(logits[i : i + 1], keys[i : i + 1], temperature=0.9)) for i in range(16)]
    assert together.tolist() == alone


def test_a_lower_temperature_draws_likelier_tokens() -> None:
    logits, keys = _logits(500, 50), _keys(500)
    picked = [
        float(logits.gather(-1, draw(logits, keys, temperature=t)[:, None]).mean())
        for t in (2.0, 1.0, 0.3)
    ]
    assert picked == sorted(picked)


def test_rounding_changes_next_to_no_draw() -> None:
    """Errors of 1e-4 on 20,000 draws over 400 tokens; an inverted distribution changes 25."""
    logits, keys = _logits(20_000, 400) * 1.5, _keys(20_000)
    noise = torch.randn(logits.shape, generator=torch.Generator().manual_seed(3)) * 1e-4
    changed = draw(logits, keys, temperature=1.0) != draw(logits + noise, keys, temperature=1.0)
    assert int(changed.sum()) <= 5


def test_like_policies_draw_like_tokens_from_equal_keys() -> None:
    """Two distributions 0.1 apart in total variation: draws part in a little more than that."""
    first = torch.tensor([[0.6, 0.3, 0.1]]).log().expand(50_000, -1)
    second = torch.tensor([[0.5, 0.4, 0.1]]).log().expand(50_000, -1)
    keys = _keys(50_000)
    apart = draw(first, keys, temperature=1.0) != draw(second, keys, temperature=1.0)
    assert 0.095 < float(apart.double().mean()) < 0.2


def test_a_draw_is_what_it_is_for_ever() -> None:
    """Fixed values: if they change, every answer of everyone changes."""
    logits = torch.tensor([[float(-(token * 7 % 300)) / 100 for token in range(300)]] * 8)
    tokens = draw(logits, torch.arange(8) * 12_345, temperature=0.7)
    assert tokens.tolist() == [239, 130, 285, 53, 86, 136, 229, 131]
