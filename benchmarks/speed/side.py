"""One side of a comparison, run in a process of its own, so that its peak of memory is its own."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from speed.ratios import Outcome

QUIET = {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}


def run_side(name: str, work: Mapping[str, Any]) -> Outcome:
    """Run `module:function` of this package on `work` and return what it measured.

    Args:
        name: e.g. `training:ours`; the function takes `work` and returns figures, among them
            `seconds`.
        work: what JSON can hold.

    Raises:
        RuntimeError: the side failed; its standard error is in the message.
    """
    benchmarks = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [benchmarks, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "speed.side", name],
        input=json.dumps(work),
        capture_output=True,
        text=True,
        env={**os.environ, **QUIET, "PYTHONPATH": path},
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-3000:]}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Read `work` from standard input; the last line printed holds the figures."""
    from stages._app import keep_freed_memory

    keep_freed_memory()  # what `spa` asks of the C library, for both sides
    module, function = sys.argv[1].split(":")
    figures = getattr(import_module(f"speed.{module}"), function)(json.load(sys.stdin))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print()
    print(json.dumps({"seconds": figures.pop("seconds"), "peak_gib": peak, "figures": figures}))


if __name__ == "__main__":
    main()
