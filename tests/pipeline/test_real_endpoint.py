"""`dvc repro evaluate@1` with a language model behind vLLM's own server as the annotator."""

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from tests.mlflow_server import free_port, kill_group
from tests.pipeline.tiny_params import write_pipeline
from tests.vllm_environment import vllm_python

pytestmark = pytest.mark.slow
INSTRUCTIONS = 40
BIN = Path(sys.executable).parent


class Endpoint(NamedTuple):
    """A served model: its address, and the key that it wants."""

    address: str
    key: str

    def answered(self) -> int:
        """How many requests the server has answered, by its own count."""
        text = requests.get(f"{self.address}/metrics", timeout=10).text
        return int(sum(map(float, re.findall(r"(?m)^vllm:request_success_total\S* (\S+)", text))))


@contextmanager
def _vllm_server(model: Path, log: Path) -> Iterator[Endpoint]:
    """vLLM's server of chat completions on loopback."""
    port, key = free_port(), f"canary-{secrets.token_hex(8)}"
    command = [vllm_python(), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    options = {
        "served-model-name": "judge", "host": "127.0.0.1", "port": port,
        "max-model-len": 4096, "max-num-seqs": 8, "kv-cache-memory-bytes": 2**29,
    }  # fmt: skip
    command += [f"--{name}={value}" for name, value in options.items()] + ["--enforce-eager"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, "VLLM_API_KEY": key, "HF_HUB_OFFLINE": "1"},
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        _wait(process, f"http://127.0.0.1:{port}/health", log)
        yield Endpoint(f"http://127.0.0.1:{port}", key)
    finally:
        kill_group(process)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text(encoding="utf-8")[-3000:]
        try:
            if requests.get(address, timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    pytest.fail(f"the server said nothing in time: {log.read_text(encoding='utf-8')[-3000:]}")


def test_a_served_model_annotates_and_is_not_asked_twice(tmp_path: Path, real_folder: Path) -> None:
    folder = write_pipeline(
        tmp_path / "pipeline", real_folder,
        split={"test": INSTRUCTIONS},
        evaluate={"annotator": "alpaca_eval", "alpaca_eval": {"model": "judge"}},
    )  # fmt: skip
    evaluation = folder / "data" / "evaluation" / "1"
    with _vllm_server(real_folder, tmp_path / "vllm.log") as endpoint:
        said = _dvc(folder, endpoint, "repro", "evaluate@1")
        asked = endpoint.answered()
        first = (evaluation / "annotations.json").read_bytes()
        again = _dvc(folder, endpoint, "repro", "--force", "--single-item", "evaluate@1")
        assert endpoint.answered() == asked
    print(said[-3000:], again[-3000:])
    assert asked >= INSTRUCTIONS
    assert (evaluation / "annotations.json").read_bytes() == first
    rows = json.loads(first)
    assert len(rows) == INSTRUCTIONS
    told = [row["preference"] for row in rows if row["preference"] is not None]
    assert len(set(told)) > INSTRUCTIONS // 4  # weighed by log-probabilities, not 1 or 2
    metrics = json.loads((evaluation / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["win_rate"] == pytest.approx(sum(told) / len(told) - 1)
    assert " 0 calls" in again
    _assert_nowhere(endpoint.key, folder, said + again)


def _dvc(folder: Path, endpoint: Endpoint, *arguments: str) -> str:
    environment = {
        **{k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"},
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
        "OPENAI_BASE_URL": f"{endpoint.address}/v1", "OPENAI_API_KEY": endpoint.key,
    }  # fmt: skip
    command = ["dvc", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _assert_nowhere(key: str, folder: Path, said: str) -> None:
    assert key not in said
    for file in folder.rglob("*"):
        if file.is_file():
            assert key.encode() not in file.read_bytes(), file
