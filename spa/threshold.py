"""The confidence below which a label is doubted: a rolling quantile over the latest pairs."""

from collections import deque
from collections.abc import Iterable

import numpy as np


class RollingThreshold:
    """Quantile of the latest confidences, one per pair, of earlier steps only.

    The threshold of a step is asked for before the step's own confidences are added. Until
    the window holds `1 / share` pairs no quantile at `share` exists that leaves a pair
    below it, and nothing is doubted. Between two confidences lies the value that a further one
    of their kind falls below with probability `share` (Weibull's rule: of n, the one in place
    share * (n + 1)); numpy's default would doubt 11.6 % where 10 are asked, by fifty.

    Source: SPA, arXiv:2406.04412, App. B.4: the lower K % of the latest 50 samples.
    """

    def __init__(self, *, share: float, window: int) -> None:
        """Doubt the least confident `share` (K, 0 to 1) by the latest `window` pairs."""
        self._share = share
        self._recent: deque[float] = deque(maxlen=window)

    def value(self) -> float | None:
        """The threshold, or None while too few pairs were seen."""
        if self._share == 0 or len(self._recent) * self._share < 1:
            return None
        return float(np.quantile(list(self._recent), self._share, method="weibull"))

    def add(self, confidences: Iterable[float]) -> None:
        """Remember the confidences of a finished step."""
        self._recent.extend(confidences)

    def state(self) -> list[float]:
        """The remembered confidences, oldest first."""
        return list(self._recent)

    def restore(self, state: Iterable[float]) -> None:
        """Go on from a remembered state."""
        self._recent.clear()
        self._recent.extend(state)
