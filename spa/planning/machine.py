"""What this machine has: memory where the work is done, and room on its disk."""

import os
import shutil
from pathlib import Path

from spa.compute import Compute


def device_memory(compute: Compute) -> int | None:
    """Bytes of memory of the device that computes, in all; None where nobody says."""
    import torch

    from spa.models import choose_device

    device = choose_device(compute)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            return None
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def free_disk(folder: Path) -> int:
    """Bytes free where a folder lies."""
    return shutil.disk_usage(folder).free
