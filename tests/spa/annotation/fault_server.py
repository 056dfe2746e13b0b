"""A real server of chat completions that prefers the longer answer, and fails on demand."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OUTPUT = re.compile(r'"output": """(.*?)"""', re.DOTALL)
Fault = Callable[["Handler", int], bool]
"""Given the handler and the number of the call, from 1: whether it answered in its own way."""


class Handler(BaseHTTPRequestHandler):
    """Answers `m` or `M` for the longer output, with log-probabilities of 0.9 and 0.1."""

    server: "Server"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.times.append(time.monotonic())
            number = len(self.server.bodies)
        if not self.server.fault(self, number):
            self.answer(200, completion(body))

    def answer(self, status: int, value: Any, *, cut: int = 0, wait: str | None = None) -> None:
        """Send JSON; with `cut`, all but its last bytes, although more were promised.

        `wait` is sent as Retry-After.
        """
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if wait is not None:
            self.send_header("Retry-After", wait)
        self.end_headers()
        self.wfile.write(data[: len(data) - cut])

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """Holds the fault and every request that came."""

    daemon_threads = True

    def __init__(self, fault: Fault) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault = fault
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


def completion(body: dict[str, Any], *, logprobs: bool = True) -> dict[str, Any]:
    first, second = OUTPUT.findall(body["messages"][-1]["content"])
    tokens = ("m", "M") if len(first) > len(second) else ("M", "m")
    top = [{"token": t, "logprob": p, "bytes": None} for t, p in zip(tokens, LOGS, strict=True)]
    content = [{**top[0], "top_logprobs": top}]
    choice = {
        "index": 0,
        "finish_reason": "length",
        "message": {"role": "assistant", "content": tokens[0]},
        "logprobs": {"content": content} if logprobs else None,
    }
    usage = {"prompt_tokens": 300, "completion_tokens": 1, "total_tokens": 301}
    return {
        "id": "c", "object": "chat.completion", "created": 0, "model": body["model"],
        "choices": [choice], "usage": usage,
    }  # fmt: skip


LOGS = (-0.1053605, -2.3025851)  # log 0.9, log 0.1


@contextmanager
def serve(fault: Fault = lambda handler, number: False) -> Iterator[Server]:
    server = Server(fault)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def busy_every_third(handler: Handler, number: int) -> bool:
    if number % 3:
        return False
    handler.answer(429, {"error": {"message": "rate limit"}})
    return True


def asks_to_wait(handler: Handler, number: int) -> bool:
    if number > 1:
        return False
    handler.answer(429, {"error": {"message": "rate limit"}}, wait="1")
    return True


def dead(handler: Handler, number: int) -> bool:
    handler.answer(500, {"error": {"message": "out of order"}})
    return True


def dead_after_four(handler: Handler, number: int) -> bool:
    return number > 4 and dead(handler, number)


def hanging_once(handler: Handler, number: int) -> bool:
    if number == 2:
        time.sleep(3)
        return True
    return False


def dripping_once(handler: Handler, number: int) -> bool:
    """Says a blank every 0.2 s for 12 s, so that no silence is long."""
    if number != 1:
        return False
    handler.send_response(200)
    handler.send_header("Content-Length", "60")
    handler.end_headers()
    with contextlib.suppress(OSError):  # nobody listens any more
        for _ in range(60):
            handler.wfile.write(b" ")
            time.sleep(0.2)
    handler.close_connection = True
    return True


def cut_once(handler: Handler, number: int) -> bool:
    if number != 2:
        return False
    handler.answer(200, completion(handler.server.bodies[number - 1]), cut=60)
    handler.close_connection = True
    return True


def calls_the_tool(handler: Handler, number: int) -> bool:
    """Ranks the longer output first, as the arguments of a tool's call."""
    body = handler.server.bodies[number - 1]
    value = completion(body, logprobs=False)
    longer = value["choices"][0]["message"]["content"]
    ranks = [{"model": name, "rank": 1 if name == longer else 2} for name in ("m", "M")]
    function = {
        "name": body["tool_choice"]["function"]["name"],
        "arguments": json.dumps({"ordered_models": ranks}),
    }
    call = {"id": "t", "type": "function", "function": function}
    value["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
    handler.answer(200, value)
    return True


def takes_more(handler: Handler, number: int) -> bool:
    """Counts 500 tokens a call, as of a script with more of them than one in four characters."""
    value = completion(handler.server.bodies[number - 1])
    handler.answer(200, {**value, "usage": {**value["usage"], "total_tokens": 500}})
    return True


def without_usage(handler: Handler, number: int) -> bool:
    handler.answer(200, {**completion(handler.server.bodies[number - 1]), "usage": None})
    return True


def without_logprobs(handler: Handler, number: int) -> bool:
    handler.answer(200, completion(handler.server.bodies[number - 1], logprobs=False))
    return True


def wrong_key(handler: Handler, number: int) -> bool:
    key = handler.headers["Authorization"]
    handler.answer(401, {"error": {"message": f"Incorrect API key provided: {key}"}})
    return True
