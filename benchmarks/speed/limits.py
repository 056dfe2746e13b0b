"""Limits that stand in a comparison where no peer does the same work."""

from typing import Any


def five_seconds(work: dict[str, Any]) -> dict[str, Any]:
    """All bookkeeping of 20,000 pairs; a no-op `dvc repro`."""
    return {"seconds": 5.0}


def half_a_second(work: dict[str, Any]) -> dict[str, Any]:
    """`spa --help`."""
    return {"seconds": 0.5}


def five_minutes(work: dict[str, Any]) -> dict[str, Any]:
    """The data path at 60,000 prompts."""
    return {"seconds": 300.0}


def three_gib(work: dict[str, Any]) -> dict[str, Any]:
    """Its memory; `peak_gib` here is the limit and no measurement."""
    return {"seconds": 0.0, "peak_gib": 3.0}


def a_tenth(work: dict[str, Any]) -> dict[str, Any]:
    """The share of a run's stage time that our own overhead may take."""
    return {"seconds": 0.0, "share": 0.1}


def models_on_disk(work: dict[str, Any]) -> dict[str, Any]:
    """How many times the models' size a run may take on disk."""
    return {"seconds": 0.0, "times": 1.1}
