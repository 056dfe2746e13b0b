"""The first page of the data contract's pages: every round's gates and suites in two tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from spa.checks.gates import limits
from spa.checks.pages import SuitePage
from spa.files import replace_file

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data contract</title>
<link rel="stylesheet" href="{style}">
</head>
<body class="container py-4">
<h1>Data contract</h1>
<p>What every record file of a round is held against. A suite's page shows each expectation;
<code>spa flagged --round N</code> shows the rows.</p>
{rounds}
</body>
</html>
"""


@dataclass(frozen=True)
class RoundPages:
    """A round's suites with their pages, and the gates of its checks.json (none before filter)."""

    round: str
    suites: Sequence[SuitePage]
    gates: Sequence[Mapping[str, Any]]


def write_index(path: Path, rounds: Sequence[RoundPages]) -> None:
    """Write the first page, with links to the pages of every round beside it."""
    style = f"round-{rounds[0].round}/static/offline/bootstrap.min.css"
    parts = "\n".join(_round(one, path.parent) for one in rounds)
    with replace_file(path) as temporary:
        temporary.write_text(_PAGE.format(style=style, rounds=parts), encoding="utf-8")


def _round(pages: RoundPages, folder: Path) -> str:
    gates = [
        (
            escape(gate["gate"]),
            "too few rows" if gate["number"] is None else f"{gate['number']:.4g}",
            limits(gate["low"], gate["high"]),
            _badge(gate["verdict"]),
        )
        for gate in pages.gates
    ]
    suites = [
        (
            f'<a href="{quote(one.page.relative_to(folder).as_posix())}">{escape(one.suite)}</a>',
            str(one.rows),
            f"{one.held} of {one.expectations}",
            _badge("holds" if one.held == one.expectations else "see page"),
        )
        for one in pages.suites
    ]
    return (
        f'<h2 class="mt-4">Round {escape(pages.round)}</h2>\n'
        + _table(("suite", "rows", "expectations that hold", ""), suites)
        + (_table(("gate", "figure", "wanted", ""), gates) if gates else "")
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; the cells are HTML already."""
    first = "".join(f"<th>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        '<div class="table-responsive"><table class="table table-sm">'
        f"<thead><tr>{first}</tr></thead><tbody>{body}</tbody></table></div>\n"
    )


def _badge(verdict: str) -> str:
    kind = {"holds": "success", "stop": "danger", "too few": "secondary"}.get(verdict, "warning")
    return f'<span class="badge badge-{kind}">{escape(verdict)}</span>'
