"""The `spa` command: finds the requested stage, runs it, and shows errors as one plain line."""

import os
import sys
from importlib import import_module

from spa.errors import SpaError
from spa.memory import exhausted
from stages._terminal import lines, plain

QUIET = {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""No library used here reports home, and none prints more than errors, unless the user says so."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h

STAGES = (
    "base",
    "split",
    "generate",
    "judge",
    "filter",
    "train",
    "evaluate",
    "calibrate",
    "extrapolate",
    "report",
)
TOOLS = (
    "audit",
    "compare",
    "docs",
    "doctor",
    "export",
    "flagged",
    "init",
    "lineage",
    "lock",
    "plan",
    "plots",
    "preset",
    "sample",
    "score",
    "sweep",
    "ui",
    "validate",
    "winrate",
)


def run(arguments: list[str] | None = None) -> None:
    """Entry point of `spa`; `arguments` default to the command line's."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # libraries' bars; ours look for themselves
    keep_freed_memory()
    import typer

    app = typer.Typer(
        help="Align a language model from a few preference labels (SPA, arXiv:2406.04412).",
        epilog="`dvc repro` runs the stages of the pipeline in order; the tools are separate.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        add_completion=False,
    )
    for panel, folder, names in (
        ("Stages of the pipeline", "stages", STAGES),
        ("Tools", "stages.tools", TOOLS),
    ):
        for name in names:
            main = import_module(f"{folder}.{name}").main
            app.command(name, help=paragraphs(main.__doc__), rich_help_panel=panel)(main)
    try:
        app(arguments)
    except Exception as error:
        if (told := in_words(error)) is None:
            raise
        print(f"error: {told}", file=sys.stderr)
        sys.exit(1)


def in_words(error: Exception) -> str | None:
    """An error as the user sees it on the terminal; None for a bug, which keeps its traceback."""
    match error:
        case SpaError():
            return lines(str(error))
        case OSError() if error.filename is not None:  # a name too long, a folder closed to us
            return plain(f"{error.filename}: {error.strerror}")
        case MemoryError() | RuntimeError():
            return exhausted(error)
    return None


def paragraphs(docstring: str) -> str:
    """A docstring whose paragraphs are one line each, for the terminal to break at its width."""
    return "\n\n".join(" ".join(part.split()) for part in docstring.split("\n\n"))


def keep_freed_memory() -> None:
    """Tell glibc to reuse large blocks instead of giving them back to the kernel.

    A training step on a CPU frees and asks for gigabytes; fetched anew each time, their
    pages cost a tenth of the time and more. Other C libraries are left as they are.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_TOP_PAD, 64 * 2**20)


if __name__ == "__main__":
    run()
