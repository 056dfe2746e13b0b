"""What a DVC that was killed left behind and cannot pass by itself."""

import json
from pathlib import Path

from spa.doctor.finding import Finding, fault, ok
from spa.layout import Layout


def damaged_lock(root: Path) -> Path | None:
    """DVC's list of who reads and writes what, where it was killed while it wrote that."""
    file = root / ".dvc" / "tmp" / "rwlock"
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return file
    return None


def check_leftovers(layout: Layout) -> list[Finding]:
    """Nothing keeps DVC from starting."""
    file = damaged_lock(layout.root)
    if file is None:
        return [ok("leftovers", "no killed run left anything that stops DVC")]
    return [
        fault(
            "leftovers",
            f"{layout.show(file)}: is damaged, as DVC was killed while writing it, and `dvc repro` "
            f"cannot start; when no DVC is running here, `rm {layout.show(file)}`",
        )
    ]
