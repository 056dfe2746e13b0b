"""The presets: one YAML file each beside this one."""

from dataclasses import dataclass
from pathlib import Path

from spa.errors import ParamsError

OWN = "own"
"""The preset for data of the user's, which `spa init` takes."""
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Preset:
    """A whole params.yaml, as text with its comments."""

    name: str
    text: str

    @property
    def about(self) -> str:
        """What it is, in one line: the comment that it begins with, up to an empty line of it."""
        lines = []
        for line in self.text.splitlines():
            if not line.startswith("# "):
                break
            lines.append(line.removeprefix("# "))
        return " ".join(lines).partition(". ")[0].rstrip(".")


def presets() -> list[Preset]:
    """All presets, by name."""
    files = sorted(_HERE.glob("*.yaml"))
    return [Preset(file.stem, file.read_text(encoding="utf-8")) for file in files]


def preset(name: str) -> Preset:
    """One preset.

    Raises:
        ParamsError: there is none of this name; names all there are.
    """
    found = {one.name: one for one in presets()}
    if name not in found:
        raise ParamsError(
            f"preset: found {name!r}; wanted one of {', '.join(found)}; `spa preset --list` "
            "describes each"
        )
    return found[name]
