"""dvc.yaml of a user's pipeline, made of the one that this project runs itself."""

import re
from collections.abc import Iterator

from spa.code_lock import CODE, SHIPPED
from spa.layout import Layout

_STAGE = re.compile(r"  (\w+):")
_DEPS = re.compile(r" +deps:")
_HEAD = """\
# The pipeline, as `spa init` wrote it; params.yaml has its numbers. data/code/ lists the code
# of each stage in the installed package: after another version is installed, `spa lock` renews the
# lists, and `dvc repro` runs what changed.
"""


def shipped_dag() -> str:
    """The text of the project's own dvc.yaml."""
    return SHIPPED.read_text(encoding="utf-8")


def user_dag(layout: Layout) -> str:
    """The same stages, but each depends on the list of its code in place of the code."""
    return _HEAD + "".join(f"{line}\n" for line in _lines(shipped_dag(), layout))


def _lines(text: str, layout: Layout) -> Iterator[str]:
    stage, deps, mark = "", list[str](), ""
    for line in text.splitlines():
        if mark and line.startswith(mark):
            deps.append(line.removeprefix(mark))
            continue
        if mark:
            own = [dep for dep in deps if not dep.startswith(CODE)]
            listed = layout.show(layout.code_of(stage))
            yield from (mark + dep for dep in sorted([*own, listed]))
            deps, mark = [], ""
        if found := _STAGE.fullmatch(line):
            stage = found[1]
        if _DEPS.fullmatch(line):
            mark = " " * (len(line) - len(line.lstrip())) + "- "
        yield line
