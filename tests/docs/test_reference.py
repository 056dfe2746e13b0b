"""The references of commands and params are what the code says, and the code says all."""

from pathlib import Path

import make_reference
import pytest

from stages._app import STAGES, TOOLS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["cli", "params"])
def test_a_reference_is_what_the_code_gives(name: str) -> None:
    written = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert written == getattr(make_reference, name)(), f"docs/{name}.md: `make format` writes it"


def test_every_command_stands_in_the_reference() -> None:
    heads = [line for line in make_reference.cli().splitlines() if line.startswith("### ")]
    assert [head.split()[2].strip("`") for head in heads] == [*STAGES, *TOOLS]


@pytest.mark.parametrize("name", ["cli", "params"])
def test_every_option_and_key_is_explained(name: str) -> None:
    rows = [line for line in getattr(make_reference, name)().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row for row in rows if row.endswith("|  |")] == []
