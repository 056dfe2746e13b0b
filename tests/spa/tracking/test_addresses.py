"""Addresses are shown without the login that they may hold."""

import pytest
from mlflow.exceptions import MlflowException

from spa.addresses import without_login
from spa.tracking.server import tolerant

URI = "http://bob:sEcReT@127.0.0.1:9/api"


def test_an_address_is_shown_without_name_and_password() -> None:
    assert without_login(f"no answer from {URI}", URI) == "no answer from http://127.0.0.1:9/api"
    assert without_login("sEcReT is wrong", URI) == "(the password) is wrong"
    assert without_login("plain", "http://127.0.0.1:9") == "plain"


def test_what_mlflow_says_is_told_without_the_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(error: Exception) -> None:
        raise error

    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)
    for error in (MlflowException(f"no answer from {URI}"), ImportError(f"no driver for {URI}")):
        monkeypatch.setattr(tolerant, "said", False, raising=False)
        assert tolerant(fail, error) is None
        said = capsys.readouterr().err
        assert "http://127.0.0.1:9/api" in said
        assert "sEcReT" not in said
