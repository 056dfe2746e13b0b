"""Writing a preset where a pipeline reads it."""

from pathlib import Path

import yaml

from spa.errors import ParamsError
from spa.files import replace_file
from spa.layout import Layout
from spa.presets.shipped import Preset, presets

RUBRIC = Path(__file__).parents[1] / "scaffold" / "files" / "rubric.py"
"""A rule to begin with, where a preset names a rubric of the user's own."""


def write_preset(layout: Layout, chosen: Preset, *, force: bool = False) -> list[Path]:
    """Write params.yaml, and the rubric that it names where it is `rubric.py` and not there yet.

    One that is a preset as it ships, unedited, is replaced unasked: nothing of anyone's is lost.

    Args:
        layout: the pipeline.
        chosen: what to write.
        force: also where another params.yaml is there.

    Returns:
        The files written; none where all is there already.

    Raises:
        ParamsError: another params.yaml is there.
    """
    wanted = {layout.params: chosen.text}
    rubric = layout.root / yaml.safe_load(chosen.text)["rubric"]["file"]
    if rubric.name == RUBRIC.name and rubric.parent == layout.root and not rubric.exists():
        wanted[rubric] = RUBRIC.read_text(encoding="utf-8")
    there = layout.params.read_bytes() if layout.params.exists() else None
    if there == chosen.text.encode():
        del wanted[layout.params]
    elif there not in (None, *(one.text.encode() for one in presets())) and not force:
        raise ParamsError(
            f"{layout.params}: differs from preset {chosen.name} and was not overwritten; "
            "keep it, or use --force"
        )
    for path, text in wanted.items():
        with replace_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(wanted)
