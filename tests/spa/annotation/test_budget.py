"""A limit in US dollars: what it lets pass, by numbers worked by hand."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from spa.annotation.budget import Budget
from spa.errors import AnnotationError


def test_what_a_call_took_counts_in_place_of_its_estimate() -> None:
    budget = Budget(1.0)
    budget.reserve(0.4)
    budget.settle(0.4, 0.7)  # 0.3 are left
    with pytest.raises(AnnotationError, match=r"max_cost_usd = 1 \(about 0\.70 USD are spent\)"):
        budget.reserve(0.31)
    budget.reserve(0.3)


def test_a_call_that_took_less_leaves_the_rest() -> None:
    budget = Budget(1.0)
    budget.reserve(0.9)
    budget.settle(0.9, 0.2)
    budget.reserve(0.8)


def test_threads_share_one_limit() -> None:
    budget = Budget(0.1)

    def reserved(_: int) -> bool:
        try:
            budget.reserve(0.01)
        except AnnotationError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(reserved, range(100))) == 10


def test_what_is_announced_counts_what_was_spent_before(capsys: pytest.CaptureFixture[str]) -> None:
    budget = Budget(1.0)
    budget.announce("2 calls", 100, 0.004, kept=3)
    said = "2 calls, about 100 tokens, about 0.40 USD (limit 1 USD); 3 answers kept from before"
    assert said in capsys.readouterr().out
    budget.reserve(0.7)
    with pytest.raises(AnnotationError, match=r"cost about 0\.40 USD after 0\.70 USD"):
        budget.announce("2 calls", 100, 0.004, kept=0)


def test_an_unknown_price_is_refused_where_there_is_a_limit_and_calls_to_make() -> None:
    with pytest.raises(AnnotationError, match="the price of 2 calls is not known"):
        Budget(1.0).announce("2 calls", 100, None, kept=0)
    Budget(1.0).announce("0 calls", 0, None, kept=2)
    Budget(None).announce("2 calls", 100, None, kept=0)


def test_without_a_limit_nothing_is_refused() -> None:
    Budget(None).reserve(1e9)
