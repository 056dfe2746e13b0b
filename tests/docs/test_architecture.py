"""The picture and the table of the architecture page are the pipeline that dvc.yaml has."""

import re
import tomllib
from itertools import pairwise, product
from pathlib import Path

from spa.dag import downstream, read_stages
from spa.layout import Layout

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
STAGES = read_stages(Layout(ROOT))
Graph = dict[str, set[str]]


def _picture() -> Graph:
    """Who points to whom in the page's picture, by the names of stages."""
    block = PAGE.partition("```mermaid\n")[2].partition("```")[0]
    names = {node: label.split()[0] for node, label in re.findall(r'(\w+)\["(\w+@[^"]+)"\]', block)}
    arrows: Graph = {}
    for line in block.splitlines()[1:]:
        nodes = [re.findall(r"(\w+)(?:\[[^\]]*\])?(?: &|$)", part.strip()) for part in _parts(line)]
        for sources, targets in pairwise(nodes):
            for source, target in product(sources, targets):
                arrows.setdefault(names.get(source, source), set()).add(names.get(target, target))
    return arrows


def _parts(line: str) -> list[str]:
    return re.sub(r"-- [^>]+ -->", "-->", line).split("-->")


def _reached(arrows: Graph, start: str) -> set[str]:
    found, todo = set[str](), [start]
    while todo:
        new = arrows.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def test_an_arrow_of_the_picture_is_a_file_that_one_stage_writes_and_the_other_reads() -> None:
    arrows = _picture()
    assert arrows.pop("raw") == {"split"}
    assert sum(map(len, arrows.values())) > 20
    for source, targets in arrows.items():
        outs = STAGES[source].outs
        for target in targets:
            assert target in downstream({target: STAGES[target]}, outs), f"{source} --> {target}"


def test_what_follows_from_a_stage_in_the_picture_follows_from_it_in_dvc_yaml() -> None:
    """So that no stage and no way between two of them is left out."""
    arrows = _picture()
    shown = {name for name in STAGES if not name.endswith("@2")} | {"generate@2"}
    assert set(arrows) | set.union(*arrows.values()) == shown | {"raw"}
    for name in shown - {"generate@2"}:
        assert _reached(arrows, name) == shown & set(downstream(STAGES, STAGES[name].outs)), name


def test_the_table_has_every_stage_once() -> None:
    table = PAGE.partition("| stage | reads |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted({re.sub(r"@.*", "@N", name) for name in STAGES})


def test_the_drawing_on_the_site_is_of_the_picture() -> None:
    drawn = (ROOT / "docs" / "img" / "stages.svg").read_text(encoding="utf-8")
    stages = {name for pair in _picture().items() for name in (pair[0], *pair[1])} - {"raw"}
    assert len(stages) > 12
    assert [name for name in sorted(stages) if f">{name}" not in drawn] == []


def test_every_file_has_a_layer_and_the_page_shows_the_layers_that_are_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [layers] = (
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    checked = [{name.strip().removeprefix("spa.") for name in row.split(":")} for row in layers]
    there = {p.stem for p in (ROOT / "spa").iterdir() if p.suffix == ".py" or p.is_dir()}
    assert set().union(*checked) == there - {"__init__", "__pycache__"} | {"stages"}
    shown = [set[str]() for _ in layers]
    for number, names in re.findall(r"^\| (\d+) \| (.+?) \|", PAGE, re.MULTILINE):
        shown[int(number)] |= {name.strip("/") for name in re.findall(r"`([\w/]+)`", names)}
    assert shown == checked[::-1]
