"""What was measured, and how it is told: a ratio of two sides of the same run, with its spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """One side's run: seconds of its work, the peak of its process's memory, other figures."""

    seconds: float
    peak_gib: float
    figures: Mapping[str, Any] = field(default_factory=dict)

    def value(self, quantity: str) -> float:
        """`seconds`, `peak_gib`, or a figure by its name."""
        return float(self.figures[quantity] if quantity in self.figures else vars(self)[quantity])


@dataclass(frozen=True)
class Comparison:
    """A benchmark: how many times as much of a quantity the best peer takes as we do.

    Attributes:
        name: the benchmark's.
        ours: our side.
        peers: theirs; in each run the best of them counts.
        goal: the least ratio wanted; 0 where none is.
        quantity: of both sides, less is better.
        unit: of the quantity.
        note: what the reader must know beside the figure.
        peer_quantity: of the peers, where theirs has another name.
    """

    name: str
    ours: str
    peers: tuple[str, ...]
    goal: float
    quantity: str = "seconds"
    unit: str = "s"
    note: str = ""
    peer_quantity: str = ""


@dataclass(frozen=True)
class Figure:
    """A comparison's outcome over all runs: medians, and every run's ratio."""

    name: str
    ratio: float
    goal: float
    ours: float
    peer: float
    unit: str
    ratios: tuple[float, ...]
    note: str

    @property
    def reached(self) -> bool:
        return self.ratio >= self.goal

    def line(self) -> str:
        """What `make bench` prints."""
        low, high = min(self.ratios), max(self.ratios)
        wanted = (
            f"; wanted {self.goal:.2f}{'' if self.reached else ': MISSED'}" if self.goal else ""
        )
        return (
            f"{self.name} ratio={self.ratio:.2f} (ours {self.ours:.3g} {self.unit}, "
            f"peer {self.peer:.3g} {self.unit}, n={len(self.ratios)}, "
            f"spread {low:.2f} to {high:.2f}{wanted})"
        )


def compare(asked: Comparison, runs: Sequence[Mapping[str, Outcome]]) -> Figure:
    """The median ratio over runs, in each of which every side ran once."""
    ours = [run[asked.ours].value(asked.quantity) for run in runs]
    theirs = [
        min(run[peer].value(asked.peer_quantity or asked.quantity) for peer in asked.peers)
        for run in runs
    ]
    ratios = tuple(peer / own for own, peer in zip(ours, theirs, strict=True))
    return Figure(
        name=asked.name,
        ratio=median(ratios),
        goal=asked.goal,
        ours=median(ours),
        peer=median(theirs),
        unit=asked.unit,
        ratios=ratios,
        note=asked.note,
    )
