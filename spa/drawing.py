"""How a picture is drawn: one set of axes a plot, saved as PNG or as SVG that a page can colour."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INK, MUTED, GRID = "#1f2933", "#66707c", "#dde1e6"
WRONG, RIVAL = "#c4512d", "#c77800"
SERIES = ("#2b6cb0", "#2f855a", "#805ad5", "#b83280", "#0f7f8c", "#7b6a1e")

THEME = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    WRONG: "wrong",
    RIVAL: "rival",
    **{colour: f"series-{i}" for i, colour in enumerate(SERIES)},
}
"""The page's CSS variable behind every colour, so that a picture follows light and dark."""

STYLE: Any = {
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "font.size": 9,
    "grid.color": GRID,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}

WIDTH, HEIGHT = 4.2, 3.0
"""Of one plot, in inches."""


@dataclass(frozen=True)
class Plot:
    """One picture: its title, what it shows in words for who cannot see it, and how it is drawn.

    `draw` gets matplotlib axes. `height` is in inches.
    """

    title: str
    alt: str
    draw: Callable[[Any], None]
    height: float = HEIGHT


def colour_of(round: str) -> str:
    """One colour a policy, wherever it is drawn; from the seventh round on they repeat."""
    match round:
        case "base":
            return MUTED
        case "rival":
            return RIVAL
        case _:
            return SERIES[int(round) % len(SERIES)]


def legend_above(axes: Any) -> None:
    """A legend between title and axes, where it hides no data."""
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    axes.legend(ncols=3, handlelength=1.4, columnspacing=1.2, **place)


def legend_inside(axes: Any, entries: int) -> None:
    """A legend where it hides least; many entries stand in two columns."""
    axes.legend(ncols=1 if entries <= len(SERIES) else 2)


def save_png(plots: Sequence[Plot], file: Path) -> None:
    """Draw plots side by side; equal plots give equal bytes."""
    with _figure(plots) as figure:
        figure.savefig(file, format="png", dpi=120, metadata={"Software": None})


def to_svg(plot: Plot) -> str:
    """A plot as an <svg> element for a page that has the variables of `THEME`.

    It keeps its text as text, has no size but its proportions, and no id that another picture
    of the page could have; equal plots give equal text.
    """
    import io

    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": plot.title}), _figure([plot], titled=False) as figure:
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, metadata=metadata)
    return _for_page(out.getvalue(), plot.alt)


def _for_page(svg: str, alt: str) -> str:
    from xml.sax.saxutils import quoteattr

    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    head, rest = body.split(">", 1)
    view = re.search(r'viewBox="[^"]*"', head)
    assert view is not None  # matplotlib always writes one
    for colour, name in THEME.items():
        rest = rest.replace(colour, f"var(--{name})")
    label = f'class="plot" role="img" aria-label={quoteattr(alt)}'
    return f"<svg {label} {view.group()}>{rest}".strip()


@contextmanager
def _figure(plots: Sequence[Plot], *, titled: bool = True) -> Iterator[Any]:
    """A figure with the plots drawn on it, closed at the end; the style holds until then."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context(STYLE):
        size = (WIDTH * len(plots), max(plot.height for plot in plots))
        figure, axes = plt.subplots(
            1, len(plots), figsize=size, layout="constrained", squeeze=False
        )
        for plot, one in zip(plots, axes[0], strict=True):
            plot.draw(one)
            if titled:
                one.set_title(plot.title, pad=22)
        yield figure
        plt.close(figure)
