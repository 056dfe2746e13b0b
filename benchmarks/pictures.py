"""A picture of results that ship: saved with a hash of the files that it was drawn from."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from spa.drawing import GRID, STYLE


def fingerprint(files: Iterable[Path]) -> str:
    """A hash over the bytes of `files`, in their order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def save(
    file: Path, draw: Callable[[Any], None], *, size: tuple[float, float], made_of: str
) -> None:
    """Draw a figure of `size` (inches) and write it as PNG; `made_of` is its description."""
    import matplotlib as mpl

    with mpl.rc_context({**STYLE, "axes.edgecolor": GRID}):
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        draw(figure)
        file.parent.mkdir(exist_ok=True)
        figure.savefig(file, dpi=150, metadata={"Description": made_of, "Software": None})
