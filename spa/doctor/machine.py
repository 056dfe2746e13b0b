"""This machine: versions, device, memory and disk against what the run needs."""

import platform
import shutil
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from spa.compute import Compute
from spa.doctor.finding import Finding, fault, faults_or_ok, note, ok
from spa.layout import Layout
from spa.planning import PipelinePlan
from spa.planning.machine import device_memory, free_disk

PACKAGE = "spread-preference"
_NAMED = ("torch", "transformers", "dvc", "mlflow")


def check_versions() -> list[Finding]:
    """Python and every library against the bounds that this package was installed with."""
    try:
        wanted = [Requirement(text) for text in requires(PACKAGE) or ()]
        python = SpecifierSet(metadata(PACKAGE)["Requires-Python"] or "")
    except PackageNotFoundError:
        return [note("versions", f"{PACKAGE} is not installed as a package: bounds unknown")]
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    found = [text for one in needed if (text := version_fault(one)) is not None]
    own = platform.python_version()
    if not python.contains(own, prereleases=True):
        found.insert(0, f"Python: found {own}, wanted {python}; recreate the environment with it")
    named = ", ".join(f"{name} {_version(name)}" for name in _NAMED)
    return faults_or_ok(
        "versions", found, f"Python {own}, {named}; all {len(needed)} bounds are met"
    )


def version_fault(wanted: Requirement) -> str | None:
    """What is wrong with an installed library, if anything is."""
    found = _version(wanted.name)
    if found is None:
        return f"{wanted.name}: not installed; wanted {wanted.specifier}; run `make install`"
    if not wanted.specifier.contains(found, prereleases=True):
        return f"{wanted.name}: found {found}, wanted {wanted.specifier}; run `make install`"
    return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_device(compute: Compute) -> list[Finding]:
    """The device asked for is there, and a GPU that is there is seen."""
    import torch

    seen = torch.cuda.is_available()
    asked = compute.device or ("cuda" if seen else "cpu")
    if text := _crowd(compute, asked, torch.cuda.device_count()):
        return [fault("device", f"compute.yaml: processes: {text}")]
    if asked.startswith("cuda"):
        index = int(asked.partition(":")[2] or 0)
        if not seen or index >= torch.cuda.device_count():
            return [
                fault(
                    "device",
                    f"compute.yaml: device: found {asked!r}, but torch sees "
                    f"{torch.cuda.device_count()} CUDA devices; correct it or install the driver",
                )
            ]
        return [ok("device", f"{asked}: {torch.cuda.get_device_name(index)}")]
    if asked == "mps" and not torch.backends.mps.is_available():
        return [fault("device", "compute.yaml: device: found 'mps', but torch sees no such device")]
    if not seen and shutil.which("nvidia-smi"):
        return [note("device", f"{asked}: nvidia-smi is installed, but torch sees no CUDA device")]
    return [ok("device", f"{asked}, CUDA {'seen' if seen else 'not seen'}")]


def _crowd(compute: Compute, asked: str, cards: int) -> str | None:
    """What keeps several processes from having a device each."""
    if compute.processes == 1 or asked == "cpu":
        return None
    if asked != "cuda":
        return f"found {compute.processes} with device: {asked}; wanted cuda or cpu, or one process"
    if cards and compute.processes > cards:
        return f"found {compute.processes}; torch sees {cards} CUDA devices, and each needs its own"
    return None


def check_room(layout: Layout, compute: Compute, plan: PipelinePlan) -> list[Finding]:
    """Memory and disk against the plan of the stages still to run."""
    if not plan.to_run:
        return [ok("room", "nothing to run")]
    return [
        _compared(
            "memory",
            plan.memory,
            device_memory(compute),
            "set train.lora, or shard or smaller batches in compute.yaml",
        ),
        _compared(
            "disk", plan.disk, free_disk(layout.root), "free some space or move the pipeline"
        ),
    ]


def _compared(what: str, needed: int | None, there: int | None, todo: str) -> Finding:
    has = "unknown" if there is None else f"{there / 1e9:.1f} GB"
    if needed is None:
        return note(what, f"{has} here; what the run needs is known once `dvc repro base` has run")
    text = f"{has} here, the run needs about {needed / 1e9:.1f} GB"
    if there is not None and needed > there:
        return fault(what, f"{text}; {todo}, or use a larger machine")
    return ok(what, text)
