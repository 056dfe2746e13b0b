"""Money: a limit on what an annotator's calls cost holds before, while and after they are made."""

from pathlib import Path

import pytest

from spa.annotation.annotator import Answer, Comparison
from spa.errors import AnnotationError
from tests.spa.annotation import fault_server as faults
from tests.spa.annotation.asked_judge import (
    COUNT,
    WANTED,
    comparisons,
    kept_files,
    make_annotator,
)

pytestmark = pytest.mark.usefixtures("judge_key")


def _pairs(count: int) -> list[tuple[Answer, Answer]]:
    return [(comparison.first, comparison.second) for comparison in comparisons(count)]


def test_a_limit_stops_before_the_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faults.serve() as server:
        dear = {"usd_per_million_tokens": 1e6, "max_cost_usd": 1.0}
        with pytest.raises(
            AnnotationError, match=r"8 calls .* cost about \d+\.\d\d USD, more than"
        ):
            make_annotator(server, tmp_path, monkeypatch, **dear).prefer(comparisons())
        monkeypatch.setattr("spa.annotation.endpoint.Endpoint.is_local", False)
        unknown = {"model": "mine", "max_cost_usd": 1.0}
        with pytest.raises(AnnotationError, match=r"price of 8 calls of mine at .* is not known"):
            make_annotator(server, tmp_path, monkeypatch, **unknown).prefer(comparisons())
        assert not server.bodies
        known = make_annotator(server, tmp_path, monkeypatch, max_cost_usd=1.0)
        assert known.prefer(comparisons()) == pytest.approx(WANTED, abs=1e-4)


def test_the_limit_holds_for_all_that_an_annotator_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A call takes 301 tokens, of which the estimate says about 340: at 1000 USD a million, 8 calls
    cost 2.41 USD, and two more about 0.68."""
    dear = {"usd_per_million_tokens": 1000.0, "max_cost_usd": 3.0}
    more = [Comparison([{"role": "user", "content": "More?"}], *pair) for pair in _pairs(2)]
    with faults.serve() as server:
        annotator = make_annotator(server, tmp_path, monkeypatch, **dear)
        annotator.prefer(comparisons())
        assert "8 calls took 2408 tokens (" in (out := capsys.readouterr().out)
        assert out.endswith(" estimated), about 2.41 USD\n")
        with pytest.raises(AnnotationError, match=r"2 calls .* after 2\.41 USD for calls before"):
            annotator.prefer(more)
        assert len(server.bodies) == COUNT
        roomy = make_annotator(server, tmp_path, monkeypatch, **{**dear, "max_cost_usd": 4.0})
        roomy.prefer([*comparisons(), *more])
        assert len(server.bodies) == COUNT + 2


def test_a_limit_stops_in_the_middle_where_calls_take_more_than_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 calls of some 340 tokens are below 3 USD at 1000 USD a million. Each takes 0.50 USD: six
    are paid, and the seventh would end above 3."""
    dear = {"usd_per_million_tokens": 1000.0, "max_cost_usd": 3.0}
    with faults.serve(faults.takes_more) as server:
        annotator = make_annotator(server, tmp_path, monkeypatch, calls=1, **dear)
        with pytest.raises(
            AnnotationError, match=r"would pass evaluate\.max_cost_usd = 3 .*; 5 of 7 answers came"
        ) as error:
            annotator.prefer(comparisons())
        assert "(about 3.00 USD are spent)" in str(error.value)
        assert len(server.bodies) == len(kept_files(tmp_path)) == 6
        again = make_annotator(server, tmp_path, monkeypatch, **dear)
        assert again.prefer(comparisons()) == pytest.approx(WANTED, abs=1e-4)
        assert len(server.bodies) == COUNT


def test_where_the_endpoint_counts_no_tokens_the_estimate_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dear = {"usd_per_million_tokens": 1000.0, "max_cost_usd": 3.0}
    with faults.serve(faults.without_usage) as server:
        annotator = make_annotator(server, tmp_path, monkeypatch, **dear)
        annotator.prefer(comparisons())
        assert "took 0 tokens" in (out := capsys.readouterr().out)
        assert out.endswith("of 8 calls the endpoint tells none\n")
        more = [Comparison([{"role": "user", "content": "More?"}], *pair) for pair in _pairs(2)]
        with pytest.raises(AnnotationError, match=r"after 2\.\d\d USD for calls before"):
            annotator.prefer(more)
