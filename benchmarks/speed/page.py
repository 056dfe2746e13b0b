"""docs/performance.md: the words stand there, the tables between its marks are written anew."""

import json
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speed.ratios import Figure

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def record(
    root: Path,
    key: str,
    figures: Sequence[Figure],
    runs: Sequence[Mapping[str, Any]],
    work: Mapping[str, Any],
) -> None:
    """Put one group's figures beside those of before, in benchmarks/results.json and on the page.

    Args:
        root: the project's folder.
        key: the group's name.
        figures: what the page's table tells.
        runs: what every side measured, run by run.
        work: what was given to both sides, numbers by their names.
    """
    results = root / "benchmarks" / "results.json"
    found = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    found[key] = {"figures": [asdict(figure) for figure in figures], "runs": runs, "work": work}
    results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    write_page(root / "docs" / "performance.md", found)


def write_page(path: Path, found: Mapping[str, Any]) -> None:
    """Put the tables of all that was measured between the page's marks."""
    text = path.read_text(encoding="utf-8")
    body = "\n\n".join(
        [
            *(_table(name, group) for name, group in found.items()),
            f"Machine: {machine()}.",
        ]
    )
    mended = re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}",
        lambda _: f"{BEGIN}\n\n{body}\n\n{END}",
        text,
        flags=re.DOTALL,
    )
    path.write_text(mended, encoding="utf-8")


def _table(name: str, group: Mapping[str, Any]) -> str:
    work = ", ".join(f"{value} {key}" for key, value in group["work"].items())
    lines = [
        f"### {name}\n",
        *([f"{work}.\n"] if work else []),
        "| benchmark | ratio | spread | wanted | ours | peer | |",
        "|---|---|---|---|---|---|---|",
    ]
    for f in group["figures"]:
        low, high = min(f["ratios"]), max(f["ratios"])
        goal = f"{f['goal']:.2f}" if f["goal"] else "-"
        ratio = f"**{f['ratio']:.2f}**" if f["ratio"] >= f["goal"] else f"{f['ratio']:.2f} (short)"
        lines.append(
            f"| {f['name']} | {ratio} | {low:.2f} to {high:.2f} (n = {len(f['ratios'])}) | "
            f"{goal} | {f['ours']:.3g} {f['unit']} | {f['peer']:.3g} {f['unit']} | "
            f"{f['note']} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """The processor, its cores and the versions that matter."""
    import torch
    import transformers
    import trl

    try:
        listing = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout
        model = re.search(r"Model name:\s*(.+)", listing)
        name = model[1] if model else platform.processor()
    except OSError:
        name = platform.processor()
    return (
        f"{name}, {torch.get_num_threads()} threads; Python {platform.python_version()}, torch "
        f"{torch.__version__}, transformers {transformers.__version__}, TRL {trl.__version__}"
    )
