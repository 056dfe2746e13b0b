"""What calls of an endpoint cost: told before the first, and never more than a limit."""

from threading import Lock

from spa.errors import AnnotationError

_ROUNDING = 1e-9


class Budget:
    """One limit for all calls of an annotator, in US dollars, from any number of threads."""

    def __init__(self, limit: float | None) -> None:
        """Spend at most `limit`; without one, anything."""
        self._limit = limit
        self._spent = 0.0
        self._lock = Lock()

    def announce(self, calls: str, tokens: int, price: float | None, kept: int) -> None:
        """Say what is about to be paid, and stop where it is too much.

        Args:
            calls: how many, of which model and where, for people.
            tokens: of all of them, about.
            price: US dollars a token, None where nobody knows it.
            kept: answers that need no call.

        Raises:
            AnnotationError: they cost more than is left, or what they cost is not known.
        """
        limit = self._limit
        cost = "price not known" if price is None else f"about {tokens * price:.2f} USD"
        bound = "" if limit is None else f" (limit {limit:g} USD)"
        print(
            f"alpaca_eval: {calls}, about {tokens} tokens, {cost}{bound}; {kept} answers kept from "
            "before",
            flush=True,
        )
        if limit is None or not tokens:
            return
        if price is None:
            raise AnnotationError(
                f"alpaca_eval: the price of {calls} is not known, so that evaluate.max_cost_usd = "
                f"{limit:g} cannot be kept; say evaluate.alpaca_eval.usd_per_million_tokens"
            )
        if self._passed_by(tokens * price):
            before = f" after {self._spent:.2f} USD for calls before" if self._spent else ""
            raise AnnotationError(
                f"alpaca_eval: {calls} cost about {tokens * price:.2f} USD{before}, more than "
                f"evaluate.max_cost_usd = {limit:g}; none of them was paid; raise the limit "
                "or take fewer test prompts"
            )

    def reserve(self, usd: float) -> None:
        """Put the estimated price of a call aside before it is made.

        Raises:
            AnnotationError: it would pass the limit, as calls before took more than estimated.
        """
        with self._lock:
            if self._passed_by(usd):
                raise AnnotationError(
                    "alpaca_eval: calls take more tokens than was estimated, and the next one "
                    f"would pass evaluate.max_cost_usd = {self._limit:g} (about "
                    f"{self._spent:.2f} USD are spent); raise the limit or take fewer test prompts"
                )
            self._spent += usd

    def settle(self, reserved: float, usd: float) -> None:
        """Count what a call took in place of its estimate."""
        with self._lock:
            self._spent += usd - reserved

    def _passed_by(self, usd: float) -> bool:
        return self._limit is not None and self._spent + usd > self._limit * (1 + _ROUNDING)
