"""What names a place on the machine, taken out of what is published."""

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

NAMES = ("_name_or_path", "name_or_path", "_model_name_or_path")
"""Keys of a model's own files in which transformers may say where it was loaded from."""
TEXTS = ("system",)
"""Keys of params whose text a model reads: no path, whatever it begins with."""
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def public_name(text: str) -> str:
    """A path outside the pipeline as its last part alone; any other text as it is."""
    if _DRIVE.match(text) or text.startswith("\\\\"):
        return PureWindowsPath(text).name
    if text.startswith(("/", "~")) or ".." in PurePosixPath(text).parts:
        return PurePosixPath(text).name
    return text


def without_places(value: Any) -> Any:
    """JSON-like values with every text in them made public, but for those under `TEXTS`."""
    if isinstance(value, dict):
        return {key: own if key in TEXTS else without_places(own) for key, own in value.items()}
    if isinstance(value, list):
        return [without_places(own) for own in value]
    return public_name(value) if isinstance(value, str) else value


def without_origin(value: Any) -> Any:
    """A model's own settings, with the texts under `NAMES` alone made public."""
    if isinstance(value, dict):
        return {
            key: public_name(own) if key in NAMES and isinstance(own, str) else without_origin(own)
            for key, own in value.items()
        }
    return [without_origin(own) for own in value] if isinstance(value, list) else value
