"""An endpoint that speaks OpenAI's chat completions: paid once, kept for ever, or one clear error.

Every answer is kept under a hash of its request as soon as it comes, so that nothing is paid for
twice, whatever happens after it. The key comes from the environment and is written nowhere.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from spa.addresses import without_login
from spa.deadline import within
from spa.errors import AnnotationError
from spa.files import read_json, write_json
from spa.records import content_hash

Request = dict[str, Any]
"""A chat completion's arguments: `model`, `messages` and more."""
Choice = dict[str, Any]
"""One answer: `message`, `logprobs`, `finish_reason`, and `total_tokens` of its call."""

ATTEMPTS = 6
FIRST_PAUSE = 1.0
"""Seconds before the second attempt; twice as long before each further one."""
LONGEST_PAUSE = 60.0
"""Seconds that an endpoint is waited for at most, where it says how long it wants to be left."""
_PUBLIC = "https://api.openai.com/v1"


class Endpoint:
    """Sends requests to one endpoint, several at once, and keeps the answers."""

    def __init__(
        self, *, cache: Path, calls: int, timeout: float, pause: float = FIRST_PAUSE
    ) -> None:
        """Read OPENAI_BASE_URL (or OPENAI_API_BASE) and OPENAI_API_KEY.

        Args:
            cache: folder of the answers that came already.
            calls: how many may be under way at once.
            timeout: seconds that one call may take.
            pause: seconds before the second attempt at a call.

        Raises:
            AnnotationError: the environment names no key.
        """
        environment = os.environ
        self.url = (
            environment.get("OPENAI_BASE_URL") or environment.get("OPENAI_API_BASE") or _PUBLIC
        )
        self._key = environment.get("OPENAI_API_KEY", "")
        if not self._key:
            raise AnnotationError(
                f"alpaca_eval: found no OPENAI_API_KEY in the environment; wanted the key of "
                f"{self.shown}; set it (a server without keys takes any word)"
            )
        self._cache = cache
        self._calls = calls
        self._timeout = timeout
        self._pause = pause

    @property
    def shown(self) -> str:
        """The endpoint's address as it may be shown."""
        return without_login(self.url, self.url)

    @property
    def is_local(self) -> bool:
        """Whether the endpoint is on this machine, and so costs nothing."""
        return urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")

    def reach(self) -> bool:
        """Ask for the list of models, which costs nothing; False where there is no such list.

        Raises:
            AnnotationError: the endpoint cannot be reached, or it refuses the key.
        """
        import openai

        try:
            with openai.OpenAI(
                base_url=self.url, api_key=self._key, timeout=self._timeout, max_retries=0
            ) as client:
                within(self._timeout, client.models.list)
        except openai.NotFoundError:
            return False
        except (openai.OpenAIError, OSError, ValueError) as error:
            raise AnnotationError(self._describe(error, 1)) from None
        return True

    def kept(self, request: Request) -> Choice | None:
        """The answer that came already, if one did."""
        file = self._file(request)
        return dict(read_json(file)) if file.exists() else None

    def complete(
        self,
        requests: Sequence[Request],
        check: Callable[[Choice], None],
        *,
        reserve: Callable[[Request], None],
        settle: Callable[[Request, Choice], None],
    ) -> list[Choice]:
        """Answers to all requests, in order.

        The first request that has no answer yet goes alone: what `check` finds wrong with its
        answer would be wrong with all.

        Args:
            requests: what to send.
            check: raises AnnotationError where an answer is not of the wanted kind.
            reserve: told each request before it is sent; raises AnnotationError to send no more.
            settle: told each request with its answer, once that is kept; threads call both.

        Raises:
            AnnotationError: a call failed for good; says why and how many answers are kept.
        """
        missing = [request for request in requests if self.kept(request) is None]
        if missing:
            for part in (missing[:1], missing[1:]):
                self._send(part, check, reserve, settle)
        return [choice for request in requests if (choice := self.kept(request)) is not None]

    def _send(
        self,
        requests: Sequence[Request],
        check: Callable[[Choice], None],
        reserve: Callable[[Request], None],
        settle: Callable[[Request, Choice], None],
    ) -> None:
        """Send requests and keep their answers; the first failure stops what has not begun."""
        from openai import OpenAI

        with (
            OpenAI(
                base_url=self.url, api_key=self._key, timeout=self._timeout, max_retries=0
            ) as client,
            ThreadPoolExecutor(self._calls) as pool,
            tqdm(total=len(requests), desc="annotating", unit="call", disable=None) as bar,
        ):

            def one(request: Request) -> None:
                reserve(request)
                choice = self._ask(client, request)
                check(choice)
                write_json(self._file(request), choice)
                settle(request, choice)
                bar.update()

            futures = [pool.submit(one, request) for request in requests]
            try:
                done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:  # Ctrl-C: what has not begun is not paid for
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            for future in waiting:
                future.cancel()
            wait(waiting)
        self._raise_first([*done, *waiting], len(requests))

    def _raise_first(self, futures: Sequence["Future[None]"], wanted: int) -> None:
        ended = [future for future in futures if not future.cancelled()]
        errors = [error for future in ended if (error := future.exception()) is not None]
        if not errors:
            return
        if not isinstance(errors[0], AnnotationError):
            raise errors[0]
        kept = len(ended) - len(errors)
        raise AnnotationError(
            f"{errors[0]}; {kept} of {wanted} answers came and are kept: run it again to go on"
        )

    def _ask(self, client: Any, request: Request) -> Choice:
        """One call, tried again after a pause where waiting may help."""
        for attempt in range(ATTEMPTS):
            try:
                create = partial(client.chat.completions.create, **request)
                completion = within(self._timeout, create)  # its own is of a silence
                choice = dict(completion.choices[0].model_dump())
                tokens = completion.usage.total_tokens if completion.usage else 0
                return {**choice, "total_tokens": tokens}
            except Exception as error:
                if not _may_pass(error) or attempt == ATTEMPTS - 1:
                    raise AnnotationError(self._describe(error, attempt + 1)) from None
                time.sleep(max(self._pause * 2**attempt, _asked_to_wait(error)))
        raise AssertionError("the loop returns or raises")

    def _describe(self, error: Exception, attempts: int) -> str:
        """What went wrong, in one line, without the key and without a login of the address."""
        text = without_login(str(error).replace(self._key, "(the key)"), self.url)
        text = " ".join(text.split())[:200]
        tried = f" after {attempts} attempts" if attempts > 1 else ""
        return f"alpaca_eval: {self.shown} failed{tried} ({type(error).__name__}: {text})"

    def _file(self, request: Request) -> Path:
        return self._cache / f"{content_hash(self.url, request)}.json"


def _asked_to_wait(error: Exception) -> float:
    """Seconds that the endpoint asks to be left alone (Retry-After), at most `LONGEST_PAUSE`."""
    response = getattr(error, "response", None)
    try:
        asked = float(response.headers.get("retry-after", 0)) if response is not None else 0.0
    except ValueError:  # a date
        return LONGEST_PAUSE
    return min(max(asked, 0.0), LONGEST_PAUSE)


def _may_pass(error: Exception) -> bool:
    """Whether another attempt may succeed: not where the request or the key is at fault."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 425, 429) or error.status_code >= 500
    cut = (ValueError, TypeError, IndexError, AttributeError)  # a body that ends in its middle
    return isinstance(error, (openai.OpenAIError, OSError, *cut))
