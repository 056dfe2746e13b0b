"""One vLLM process: how it is started, spoken to, watched and ended (see vllm_side/worker.py)."""

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from spa.errors import EngineError
from spa.generation.engine import Completion, Request

WORKER = Path(__file__).parent / "vllm_side" / "worker.py"
_SETTINGS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # its scheduler in the same process: nothing races
    "VLLM_USE_V2_MODEL_RUNNER": "0",  # the model runner that vllm_draw.py is written for
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}
_NOT_FOR_IT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""What would lead another Python to the packages of this one."""
_LAST_LINES = 2
_IMPORT_SECONDS = 600


class VllmProcess:
    """A running vLLM with one model; it ends with this process, however this one ends."""

    def __init__(
        self,
        python: str,
        settings: Mapping[str, Any],
        *,
        patience: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it; it loads the model meanwhile.

        Args:
            python: the Python of vLLM's environment.
            settings: the first line of the protocol.
            patience: seconds without a word from it, after which it is given up.
            environment: variables beside this process's own.

        Raises:
            EngineError: there is no such Python.
        """
        self._patience = patience
        self._errors = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                [python, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=_environment(environment or {}),
                start_new_session=True,  # all that it starts can be ended with it
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            self._errors.close()
            raise _no_python(python, error) from error
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        self._send([settings])

    def longest(self) -> int:
        """Wait until it is ready. Returns the tokens that a prompt and its answer may have.

        Raises:
            EngineError: it ended, said something else, or nothing for too long.
        """
        message = self._next()
        if not message.get("ready"):
            raise self._failure(f"said {json.dumps(message)[:100]}, wanted that it is ready")
        return int(message["longest"])

    def ask(self, requests: Mapping[int, Request]) -> None:
        """Hand over the requests of one call, each under a number of its own."""
        rows = ({"id": n, "prompt": r.prompt, "seed": r.seed} for n, r in requests.items())
        self._send([{"requests": len(requests)}, *rows])

    def answers(self) -> Iterator[tuple[int, Completion]]:
        """Answers in the order in which they end, with their numbers; ask for no more than wanted.

        Raises:
            EngineError: it ended, said something else, or nothing for too long.
        """
        while True:
            message = self._next()
            if message.keys() == {"alive"}:
                continue
            try:
                number = int(message.pop("id"))
                completion = Completion(**message)
            except (KeyError, TypeError, ValueError) as error:
                text = f"said {json.dumps(message)[:100]}, wanted an answer"
                raise self._failure(text) from error
            yield number, completion

    def close(self) -> None:
        """End it and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        self._errors.close()

    def _send(self, messages: Iterable[Mapping[str, Any]]) -> None:
        stream = self._process.stdin
        assert stream is not None
        try:
            stream.writelines(f"{json.dumps(message)}\n" for message in messages)
            stream.flush()
        except BrokenPipeError:
            pass  # `_next` says why it ended

    def _listen(self, stream: IO[str]) -> None:
        """Take its lines as they come, or it would wait for us."""
        with stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)

    def _next(self) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=self._patience)
        except queue.Empty:
            text = f"said nothing for {self._patience:g} s; wanted a sign of life"
            raise self._failure(text, "raise vllm.patience where it only needs longer") from None
        if line is None:
            code = self._process.wait()
            raise self._failure(f"ended with exit code {code} before its work was done")
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise self._failure(f"said {line.strip()[:100]!r}, wanted lines of JSON")
        return message

    def _failure(self, what: str, todo: str = "see vllm in docs/scale.md") -> EngineError:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        last = " | ".join([line.strip() for line in lines if line.strip()][-_LAST_LINES:])
        return EngineError(
            f"vLLM's process {what}; {todo}; its last words: {last[-600:] or 'none'}"
        )


def installed(python: str, *, check: bool = False) -> str:
    """Name and version of the vLLM in an environment.

    Args:
        python: the environment's Python.
        check: also import it, which takes some seconds and shows whether it works.

    Raises:
        EngineError: there is no such Python, no vLLM, or one that cannot be imported.
    """
    command = [python, str(WORKER), "--check" if check else "--installed"]
    try:
        done = subprocess.run(
            command, env=_environment({}), capture_output=True, check=False, encoding="utf-8",
            timeout=_IMPORT_SECONDS,
        )  # fmt: skip
    except OSError as error:
        raise _no_python(python, error) from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"{python}: vLLM cannot be imported within {_IMPORT_SECONDS} s; wanted one that works; "
            "try `import vllm` there"
        ) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise EngineError(
            f"{python}: vLLM cannot be imported: {last[:300]}; wanted one that works; install "
            "it anew, in an environment of its own (docs/scale.md)"
        )
    if name := done.stdout.strip():
        return name.splitlines()[-1]
    raise EngineError(
        f"{python}: vLLM is not installed there; wanted it, as the engine is vllm; install it into "
        "an environment of its own and name its Python under vllm.python in compute.yaml "
        "(docs/scale.md), or say engine: transformers"
    )


def _no_python(python: str, error: OSError) -> EngineError:
    """The error that a Python cannot be started."""
    return EngineError(
        f"compute.yaml: vllm.python: found {python!r}, which cannot be started "
        f"({error.strerror}); wanted the Python of an environment with vLLM"
    )


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
    return {**own, **_SETTINGS, **more}
