"""Ready params.yaml files that ship with the package, and the commits that they leave open."""

from spa.presets.pins import Pin, ask_hub, open_pins, resolve_pins
from spa.presets.shipped import OWN, Preset, preset, presets
from spa.presets.writing import write_preset

__all__ = [
    "OWN",
    "Pin",
    "Preset",
    "ask_hub",
    "open_pins",
    "preset",
    "presets",
    "resolve_pins",
    "write_preset",
]
