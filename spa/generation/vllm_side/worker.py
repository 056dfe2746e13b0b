"""A process that answers token prompts with vLLM; `spa.generation.vllm_process` starts it.

JSON lines both ways. In: `{"llm": arguments of vllm.LLM, "temperature", "max_new_tokens",
"stop_tokens", "cores": all if empty}`, then for every call `{"requests": count}` and that many
`{"id", "prompt", "seed"}`. Out: `{"ready": true, "longest": tokens that it can hold}`, each answer
when it ends, `{"id", "tokens", "logprobs", "finished"}`, and `{"alive": true}` now and then. What
libraries print goes to the error stream. When the input ends, as it does however the other side
ends, this process is killed with all that it started.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from typing import Any, TextIO

_ALIVE_SECONDS = 5.0


def main() -> None:
    """Load the model that the first line names, then answer calls until the input ends."""
    out = _own_output()
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, lines), daemon=True).start()

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=out, flush=True)

    settings = json.loads(lines.get())
    if settings["cores"]:
        os.sched_setaffinity(0, settings["cores"])
    from vllm import LLM

    llm = LLM(**settings["llm"], logits_processors=["vllm_draw:Draw"])
    say({"ready": True, "longest": llm.llm_engine.model_config.max_model_len})
    while True:
        count = json.loads(lines.get())["requests"]
        requests = [json.loads(lines.get()) for _ in range(count)]
        _answer(llm.llm_engine, requests, settings, say)


def _own_output() -> TextIO:
    """The standard output for this protocol alone; everyone else's goes to the error stream."""
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return own


def _read(stream: TextIO, lines: "queue.SimpleQueue[str]") -> None:
    """Pass lines on; kill this process and its own at the end of them."""
    for line in stream:
        lines.put(line)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _answer(
    engine: Any,
    requests: list[dict[str, Any]],
    settings: dict[str, Any],
    say: Callable[[dict[str, Any]], None],
) -> None:
    """Hand all requests to vLLM at once, in order, and say each answer when it ends."""
    from vllm import SamplingParams

    for request in requests:
        params = SamplingParams(
            temperature=0.0,  # the draw is ours, see vllm_draw.py
            max_tokens=settings["max_new_tokens"],
            stop_token_ids=settings["stop_tokens"],
            ignore_eos=True,  # the stop tokens are all there are
            logprobs=0,
            detokenize=False,
            extra_args={"seed": request["seed"], "temperature": settings["temperature"]},
        )
        engine.add_request(str(request["id"]), {"prompt_token_ids": request["prompt"]}, params)
    said = time.monotonic()
    while engine.has_unfinished_requests():
        for output in engine.step():
            if output.finished:
                say(_row(output))
                said = time.monotonic()
        if time.monotonic() - said > _ALIVE_SECONDS:
            say({"alive": True})
            said = time.monotonic()


def _row(output: Any) -> dict[str, Any]:
    [answer] = output.outputs
    tokens = list(answer.token_ids)
    return {
        "id": int(output.request_id),
        "tokens": tokens,
        "logprobs": [
            own[token].logprob for own, token in zip(answer.logprobs, tokens, strict=True)
        ],
        "finished": answer.finish_reason == "stop",
    }


def _installed() -> str:
    """Name and version of the package that vLLM comes from here, or nothing."""
    names = packages_distributions()["vllm"] if find_spec("vllm") else []
    return " ".join(f"{name} {version(name)}" for name in sorted(set(names)))


if __name__ == "__main__":
    if sys.argv[1:] in (["--installed"], ["--check"]):
        found = _installed()
        if found and sys.argv[1] == "--check":
            import_module("vllm_draw")
        print(found)
    else:
        main()
