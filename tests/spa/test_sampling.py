"""The draw: the right distribution, and nothing but its own number."""

import torch

from spa.sampling import draw


def test_draws_follow_the_softmax_at_the_temperature() -> None:
    logits = torch.randn(1, 300, generator=torch.Generator().manual_seed(0)) * 2
    count = 40_000
    numbers = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    tokens = draw(logits.expand(count, -1), numbers, temperature=0.7)
    found = torch.bincount(tokens, minlength=300) / count
    torch.testing.assert_close(
        found, torch.softmax(logits[0] / 0.7, -1), atol=1.5 / count + 1e-6, rtol=0
    )


def test_a_small_number_draws_the_likeliest_token_and_a_large_one_the_unlikeliest() -> None:
    logits = torch.linspace(0, 1, 500).expand(2, -1)
    tokens = draw(logits, torch.tensor([0.0, 1 - 1e-12], dtype=torch.float64), temperature=1.0)
    assert tokens.tolist() == [499, 0]


def test_neighbours_do_not_matter() -> None:
    logits = torch.randn(16, 400)
    numbers = torch.rand(16, dtype=torch.float64)
    together = draw(logits, numbers, temperature=0.9)
    alone = [int(draw(logits[i : i + 1], numbers[i : i + 1], temperature=0.9)) for i in range(16)]
    assert together.tolist() == alone


def test_a_lower_temperature_draws_likelier_tokens() -> None:
    logits = torch.randn(500, 50, generator=torch.Generator().manual_seed(1))
    numbers = torch.rand(500, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    picked = [
        float(logits.gather(-1, draw(logits, numbers, temperature=t)[:, None]).mean())
        for t in (2.0, 1.0, 0.3)
    ]
    assert picked == sorted(picked)
