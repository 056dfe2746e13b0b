"""The pages of docs/ as a site: `make site` writes it to site/."""

import re
from typing import Any

project = "spa"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "spa"
html_extra_path = ["top"]
html_copy_source = False
html_show_sphinx = False
root_doc = "docs/site/index"
include_patterns = [
    "docs/*.md",
    "docs/site/index.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
]
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]  # the tables of `make bench` begin at the third level

_PICTURE = "![the stages and what each of them reads](img/stages.svg)"


def draw(app: Any, page: str, source: list[str]) -> None:
    """Put the drawing of the stages in place of its text, which GitHub draws itself."""
    source[0] = re.sub(r"```mermaid\n.*?```", _PICTURE, source[0], flags=re.DOTALL)
    source[0] = source[0].replace("```csv\n", "```text\n")


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", draw)
