"""What tests of paid judges share."""

import pytest

from tests.spa.annotation.asked_judge import CANARY


@pytest.fixture
def judge_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that the judge's endpoint is called with."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
