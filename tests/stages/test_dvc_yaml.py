"""dvc.yaml against the code: stages, dependencies and outputs are what the code says."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from spa.layout import Layout

ROOT = Path(__file__).parents[2]
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PLUMBING = {
    "addresses",
    "deadline",
    "errors",
    "layout",
    "files",
    "tables",
    "tracking",
    "lineage",
    "manifest",
    "dag",
    "records",
    "params",
    "compute",
    "annotators",
    "contract",
    "param_files",
    "section",
    "chunks",
    "checkpoints",
    "memory",
    "launching",
    "processes",
    "training_health",
    "code_lock",
}
"""Modules that compute no result, and the defaults of params; a change in them reruns nothing."""
FRAME = ("stages._context", "stages._terminal")
"""What stands around every stage."""

FILES = {
    "base": "base", "split": "split", "seed": "train", "baseline": "evaluate",
    "evaluate_seed": "evaluate", "generate": "generate", "judge": "judge", "filter": "filter",
    "train": "train", "evaluate": "evaluate", "calibrate": "calibrate", "rival": "extrapolate",
    "report": "report",
}  # fmt: skip


def _stage(name: str) -> dict[str, Any]:
    stage = DVC["stages"][name]
    body: dict[str, Any] = stage.get("do", stage)
    return body


def _imports(module: str) -> set[str]:
    """Modules of spa and stages that a module imports, anywhere in its file."""
    path = ROOT.joinpath(*module.split("."))
    file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith(("spa.", "stages.")) and _exists(name)}


def _exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def _reached(module: str) -> set[str]:
    seen, todo = set(), [module]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += _imports(name)
    return seen


def _as_dependency(module: str) -> str:
    parts = module.split(".")
    folder = "/".join(parts[:2])
    return folder if (ROOT / folder).is_dir() else f"{folder}.py"


def test_the_stages_are_the_promised_ones() -> None:
    assert list(DVC["stages"]) == list(FILES)
    of_rounds = [name for name, stage in DVC["stages"].items() if "foreach" in stage]
    assert of_rounds == ["generate", "judge", "filter", "train", "evaluate", "calibrate"]


@pytest.mark.parametrize("name", FILES)
def test_a_stage_depends_on_the_code_that_computes_its_result(name: str) -> None:
    module = f"stages.{FILES[name]}"
    computing = {
        reached
        for reached in _reached(module)
        if reached.split(".")[1] not in PLUMBING and reached not in FRAME
    }
    expected = {_as_dependency(reached) for reached in computing}
    found = {dep for dep in _stage(name)["deps"] if dep.startswith(("spa/", "stages/"))}
    assert found == expected


@pytest.mark.parametrize("name", FILES)
def test_a_stage_names_its_params_and_never_a_whole_round(name: str) -> None:
    params = _stage(name).get("params", [])
    if "foreach" in DVC["stages"][name] and name in ("generate", "judge", "filter", "train"):
        assert f"rounds.${{key}}.{name}" in params
        assert name in params
    assert "rounds.${key}" not in params


@pytest.mark.parametrize(
    ("name", "outs"),
    [
        ("base", [Layout.policy]),
        ("generate", [Layout.responses]),
        ("judge", [Layout.scores, Layout.pairs]),
        ("filter", [Layout.kept, Layout.flagged, Layout.checks]),
        ("train", [Layout.policy, Layout.training_log]),
        ("evaluate", [Layout.evaluation]),
        ("calibrate", [Layout.calibration]),
    ],
)
def test_a_stage_writes_where_the_layout_says(name: str, outs: list[Any]) -> None:
    round = "base" if name == "base" else "${key}"
    layout = Layout(Path())
    stage = name if name == "base" else f"{name}@${{key}}"
    places = [*(place(layout, round) for place in outs), layout.manifest(stage)]
    assert _stage(name)["outs"] == [str(place) for place in places]


@pytest.mark.parametrize("name", FILES)
def test_every_stage_has_a_manifest(name: str) -> None:
    stage = f"{name}@${{key}}" if "foreach" in DVC["stages"][name] else name
    assert str(Layout(Path()).manifest(stage)) in _stage(name)["outs"]


def test_only_evaluation_reads_gold_and_nothing_that_trains_does() -> None:
    for name in FILES:
        gold = [dep for dep in _stage(name)["deps"] if "gold" in dep]
        allowed = ("baseline", "evaluate_seed", "evaluate", "calibrate", "rival", "filter")
        assert not gold or name in allowed


def test_every_round_is_judged_against_the_base() -> None:
    assert "data/base/policy" in _stage("judge")["deps"]
    assert "data/round-${item.prev}/policy" in _stage("train")["deps"]
    assert "data/base/policy" not in _stage("train")["deps"]
