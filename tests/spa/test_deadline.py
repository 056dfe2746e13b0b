"""Who takes too long is not waited for; what was raised is raised."""

import time

import pytest

from spa.deadline import within


def test_an_answer_in_time_is_returned_even_if_it_is_an_error_or_none() -> None:
    error = ValueError("kept")
    assert within(5, lambda: None) is None
    assert within(5, lambda: error) is error


def test_what_is_raised_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_who_takes_longer_is_left() -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"^no answer in 0\.1 s$"):
        within(0.1, lambda: time.sleep(3))
    assert time.monotonic() - start < 2
