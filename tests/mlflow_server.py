"""A real tracking server on loopback, for tests of what is logged to it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mlflow_server(
    folder: Path, port: int, backend: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`mlflow server` with one worker, killed at the end.

    Args:
        folder: where its log and artefacts go.
        port: on 127.0.0.1.
        backend: the URI of its database; by default SQLite in `folder`.
    """
    uri = backend or f"sqlite:///{folder}/server.db"
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--backend-store-uri", uri],
            cwd=folder, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        for _ in range(240):
            assert process.poll() is None, (folder / "server.log").read_text(encoding="utf-8")
            try:
                if requests.get(f"http://127.0.0.1:{port}/health", timeout=1).ok:
                    break
            except requests.RequestException:
                time.sleep(0.5)
        yield process
    finally:
        kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a server and its workers, where it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
