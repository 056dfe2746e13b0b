"""The environment with vLLM that tests use: SPA_VLLM_PYTHON names its Python."""

import os
from typing import Any

import pytest

from spa.compute import Compute

SMALL = {"kv_cache_memory_bytes": 2**27, "enforce_eager": True}


def vllm_python() -> str:
    """The Python that has vLLM; the test is skipped where there is none."""
    python = os.environ.get("SPA_VLLM_PYTHON")
    if not python:
        pytest.skip("needs an environment with vLLM; SPA_VLLM_PYTHON names its Python")
    return python


def vllm_compute(**settings: Any) -> Compute:
    """How to compute with vLLM on a CPU."""
    vllm = {"python": vllm_python(), "options": SMALL, **settings}
    return Compute.model_validate({"device": "cpu", "vllm": vllm})
