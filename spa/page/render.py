"""The page as HTML: one file that asks for nothing else and runs no script."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from spa.drawing import to_svg
from spa.page.contents import Page
from spa.pictures import name_of

HERE = Path(__file__).parent


def render(page: Page) -> str:
    """A page as HTML; equal pages give equal text.

    Whatever a model or a user wrote is escaped, and a content security policy keeps the
    browser from running or fetching anything.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=_percent,
        number=_number,
        interval=_interval,
        bounds=_bounds,
        policy=name_of,
        params=_params,
    )
    template = environment.get_template("page.html.jinja")
    style = Markup((HERE / "page.css").read_text(encoding="utf-8"))
    drawn = {
        name: [(plot.title, Markup(to_svg(plot))) for plot in plots]
        for name, plots in page.plots.items()
    }
    return template.render(page=page, plots=drawn, style=style)


def _percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}%}"


def _number(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    return "-" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def _interval(row: dict[str, Any], key: str) -> str:
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    return "" if low is None or high is None else f"[{low:.1%}, {high:.1%}]"


def _bounds(row: dict[str, Any], key: str, digits: int = 2, *, sign: bool = False) -> str:
    """An interval of a figure that is no share."""
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    if low is None or high is None:
        return ""
    return f"[{_number(low, digits, sign=sign)}, {_number(high, digits, sign=sign)}]"


def _params(overrides: dict[str, Any]) -> str:
    """A round's own params on one line."""
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in overrides.items())
