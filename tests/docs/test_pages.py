"""What pages point to is there, and what is there stands on a page."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAP = README.partition("## Map\n\n```\n")[2].partition("```")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not target.startswith(("https://", "http://", "#")):
            file, _, anchor = target.partition("#")
            found = page.parent / file
            assert found.exists(), target
            assert not anchor or anchor in _anchors(found), target


def _anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_stands_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\(([\w-]+\.md)\)", index)
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert sorted(listed) == sorted(pages - {"README.md"})


def test_what_the_map_names_is_there() -> None:
    names = [line.split()[0] for line in MAP.splitlines()]
    assert len(names) > 10
    missing = [name for name in names if not (ROOT / name).exists()]
    assert set(missing) <= {"compute.yaml"}  # optional, as the map says
    assert all((ROOT / name).is_dir() == name.endswith("/") for name in names)


def test_every_folder_of_the_project_is_on_the_map() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    folders = {line.partition("/")[0] for line in listed.stdout.splitlines() if "/" in line}
    named = {line.split()[0].rstrip("/") for line in MAP.splitlines()}
    assert {name for name in folders if not name.startswith(".")} <= named
