"""Endpoints, MLflow and remotes that do not answer."""

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from spa.doctor.services import check_endpoint, check_remote, check_tracking
from spa.layout import Layout
from spa.param_files import load_params
from tests.loopback import serving
from tests.spa.doctor.examined import edit, faults_of


def test_the_endpoint_is_asked_for_its_models_alone(
    pipeline: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths: list[str] = []

    def models(request: BaseHTTPRequestHandler) -> tuple[int, Any]:
        paths.append(request.path)
        known = request.headers["Authorization"] == "Bearer right"
        return 200 if known else 401, {"object": "list", "data": []}

    assert check_endpoint(pipeline, load_params(pipeline.params)) == []
    params = edit(pipeline, lambda raw: raw["evaluate"].update(annotator="alpaca_eval"))
    with serving(models) as address:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        assert "no OPENAI_API_KEY" in faults_of(check_endpoint(pipeline, params))[0]
        monkeypatch.setenv("OPENAI_API_KEY", "right")
        assert check_endpoint(pipeline, params)[0].state == "ok"
        monkeypatch.setenv("OPENAI_API_KEY", "wrong-and-secret")
        refused = faults_of(check_endpoint(pipeline, params))[0]
    assert "wrong-and-secret" not in refused
    assert paths == ["/v1/models"] * 2
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert "127.0.0.1:9" in faults_of(check_endpoint(pipeline, params))[0]


def test_a_tracking_server_that_does_not_answer(
    pipeline: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    fault = faults_of(check_tracking(pipeline))[0]
    assert fault.startswith("http://127.0.0.1:9: cannot be reached")
    assert "secret" not in fault


def test_a_remote_that_is_not_there(pipeline: Layout) -> None:
    assert check_remote(pipeline)[0].state == "ok"
    config = pipeline.root / ".dvc" / "config.local"
    remote = "[core]\n    remote = far\n['remote \"far\"']\n    url = http://127.0.0.1:9/dvc\n"
    config.write_text(remote)
    assert faults_of(check_remote(pipeline))[0].startswith("far: cannot be reached")
