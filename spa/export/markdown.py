"""Text that others wrote, as Markdown and YAML that it cannot break out of; figures in words."""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml


def plain(text: str) -> str:
    """One line: line ends and all that cannot be seen become escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def code(value: object) -> str:
    """A value as code within a line, whatever it holds."""
    text = plain(str(value))
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if text[:1] in ("`", " ", "") or text[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def json_block(value: Any) -> str:
    """A value as fenced JSON: no line of it can end the fence, as each begins with JSON's own."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    shown = "".join(c if c.isprintable() or c == "\n" else _escape(c) for c in text)
    return f"```json\n{shown}\n```"


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1]  # \uXXXX, pairs of them where JSON needs two


def front_matter(values: Mapping[str, Any]) -> str:
    """The YAML that begins a card."""
    text = yaml.safe_dump(dict(values), sort_keys=False, width=100)
    return f"---\n{text}---"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def interval(row: Mapping[str, Any], key: str) -> str:
    """A rate with its 95 % interval, where it has one."""
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    bounds = "" if low is None or high is None else f" [{low:.1%}, {high:.1%}]"
    return percent(row.get(key)) + bounds
