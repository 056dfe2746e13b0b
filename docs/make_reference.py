"""docs/cli.md and docs/params.md, made of the code: commands' signatures, sections' schemas.

    python docs/make_reference.py     # `make format` does it; a test compares

Nothing is written here that the code does not say.
"""

import ast
import inspect
import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import typer

import spa.annotators
import spa.compute
import spa.contract
import spa.params
from stages._app import STAGES, TOOLS

DOCS = Path(__file__).parent
_MADE = "<!-- Generated from the code by `make format`; make changes there. -->"
_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
}
_CLI = f"""\
# Commands

{_MADE}

Every command that needs a pipeline acts on the nearest `dvc.yaml`, here or in a folder above;
`init`, `score`, `validate` and `winrate` need none. Exit codes: 0; 1, an error, which is one line
on stderr, or a fault that the command was asked to find; 2, wrong usage. `--json` prints one
object and nothing else on stdout. `spa COMMAND --help` shows the same as this page.
"""
_PARAMS = f"""\
# params.yaml and compute.yaml

{_MADE}

`params.yaml` has every number of an experiment; `spa preset` writes ready files to begin with.
Unknown keys are refused, and all faults are reported together. A key without a default is
required. *none* is YAML's `null`.
"""


def cli() -> str:
    """docs/cli.md."""
    parts = [_CLI]
    for title, folder, names in (
        ("Stages of the pipeline", "stages", STAGES),
        ("Tools", "stages.tools", TOOLS),
    ):
        parts.append(f"## {title}\n")
        parts += [_command(name, import_module(f"{folder}.{name}")) for name in names]
    return "\n".join(parts)


def _command(name: str, module: ModuleType) -> str:
    rows = [_parameter(one) for one in inspect.signature(module.main).parameters.values()]
    usage = " ".join(["spa", name, *(use for use, _, _ in rows)])
    lines = [(f"`{use.strip('[]')}`", default, what) for use, default, what in rows]
    table = _table(("", "default", "what"), lines)
    return f"### `{usage}`\n\n{inspect.getdoc(module.main)}\n{table}"


def _parameter(one: inspect.Parameter) -> tuple[str, str, str]:
    """How an option or argument is said, its default, and what it does."""
    kind, info = get_args(one.annotation)
    required = one.default is inspect.Parameter.empty
    default = "" if required or one.default in (None, False) else _default(one.default)
    what = " ".join([str(info.help), _bounds(info)]).strip()
    if isinstance(info, typer.models.ArgumentInfo):
        use = info.metavar or one.name.upper()
        return use if required else f"[{use}]", default, what
    said = [text for text in (info.default, *info.param_decls) if isinstance(text, str)]
    flag = said[0] if said else f"--{one.name.replace('_', '-')}"
    if kind is bool:
        use = flag if said else f"{flag}/--no-{flag[2:]}"
    else:
        use = f"{flag} {info.metavar or _word(kind)}"
    return use if required else f"[{use}]", default, what


def _bounds(info: Any) -> str:
    low, high = info.min, info.max
    if low is None and high is None:
        return ""
    return f"({low} to {high})" if None not in (low, high) else f"({low} or more)"


def _word(kind: Any) -> str:
    """What stands for a value on the command line."""
    while inner := get_args(kind):
        kind = inner[0]
    return {int: "N", float: "NUMBER", str: "TEXT", Path: "PATH"}[kind]


def params() -> str:
    """docs/params.md."""
    schema = spa.params.Params.model_json_schema()
    texts = {
        **_texts(spa.params),
        **_texts(spa.annotators),
        **_texts(spa.contract),
        **_texts(spa.compute),
    }
    top = {name: part for name, part in schema["properties"].items() if "$ref" not in part}
    parts = [_PARAMS, _section("The file as a whole", "Params", {"properties": top}, texts)]
    for name, part in schema["properties"].items():
        if "$ref" in part:
            parts += _sections(name, _target(part), schema["$defs"], texts)
        elif name == "rounds":
            parts += _sections('rounds."N"', "Round", schema["$defs"], texts)
    compute = spa.compute.Compute.model_json_schema()
    parts.append(_section("`compute.yaml`", "Compute", compute, texts))
    launcher = compute["$defs"]["Launcher"]
    parts.append(_section("`launcher` in `compute.yaml`", "Launcher", launcher, texts))
    parts.append(_section("`vllm` in `compute.yaml`", "Vllm", compute["$defs"]["Vllm"], texts))
    return "\n".join(parts)


def _sections(
    name: str, model: str, models: dict[str, Any], texts: dict[str, dict[str, str]]
) -> Iterator[str]:
    """A section and those within it."""
    yield _section(f"`{name}`", model, models[model], texts)
    for key, part in models[model]["properties"].items():
        for inner in _parts(part):
            if inner != model and inner in models:
                star = ".*" if "additionalProperties" in part else ""
                yield from _sections(f"{name}.{key}{star}", inner, models, texts)


def _parts(part: dict[str, Any]) -> list[str]:
    """The sections that a key's value may be."""
    inner = [part, *part.get("anyOf", ())]
    more = part.get("additionalProperties")
    inner += [more] if isinstance(more, dict) else []
    return [_target(one) for one in inner if "$ref" in one]


def _target(part: dict[str, Any]) -> str:
    return str(part["$ref"]).rpartition("/")[2]


def _section(
    title: str, model: str, schema: dict[str, Any], texts: dict[str, dict[str, str]]
) -> str:
    rows = [
        (f"`{key}`", _value(part), _shown(part, key in schema.get("required", ())), _what(own, key))
        for own in [texts[model]]
        for key, part in schema["properties"].items()
    ]
    about = texts[model][""].partition(": ")[2] or texts[model][""]
    table = _table(("key", "value", "default", "what"), rows)
    return f"## {title}\n\n{about[0].upper()}{about[1:]}\n{table}"


def _what(own: dict[str, str], key: str) -> str:
    return own.get(f"{key}_", own.get(key, ""))


def _texts(module: ModuleType) -> dict[str, dict[str, str]]:
    """By class: what it is (under an empty key) and the text below each of its fields."""
    found = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            own = {"": " ".join((ast.get_docstring(node) or "").split())}
            for field, text in zip(node.body, node.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    own[field.target.id] = _literal(text)
            found[node.name] = own
    return found


def _literal(node: ast.stmt) -> str:
    """The text that a statement consists of, if it is one."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return " ".join(str(node.value.value).split()) if text else ""  # type: ignore[attr-defined]


def _value(part: dict[str, Any]) -> str:
    """What a key may hold, in words."""
    if "$ref" in part:
        return "a section"
    if "anyOf" in part:
        return ", or ".join("none" if p.get("type") == "null" else _value(p) for p in part["anyOf"])
    if "enum" in part:
        return " ".join(f"`{one}`" for one in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if part["type"] == "array":
        return f"a list: {_value(part['items'])}"
    if part["type"] == "object":
        inner = part.get("additionalProperties")
        return "a section by name" if isinstance(inner, dict) else "a mapping"
    return f"{_WORDS[part['type']]}{_range(part)}"


def _range(part: dict[str, Any]) -> str:
    low, high = part.get("minimum"), part.get("maximum")
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    if low is not None:
        return f", {low:g} or more"
    return f" above {part['exclusiveMinimum']:g}" if "exclusiveMinimum" in part else ""


def _shown(part: dict[str, Any], required: bool) -> str:
    """A key's default, where it is not a section's own."""
    section = bool(_parts(part)) and part.get("default") is not None
    return "" if required or section or "default" not in part else _default(part["default"])


def _default(value: Any) -> str:
    if value is None:
        return "*none*"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in cells)


if __name__ == "__main__":
    (DOCS / "cli.md").write_text(cli(), encoding="utf-8")
    (DOCS / "params.md").write_text(params(), encoding="utf-8")
