"""Let every single write of every stage of a tiny pipeline fail once, as on a full disk.

Run with failing_writes.c preloaded, by test_full_disk.py:

    LD_PRELOAD=LIBRARY python -m tests.pipeline.full_disk PIPELINE LIBRARY EVERY

For every stage and every k, or the first and each EVERY-th after it: the stage is run with its
k-th write failing, which must be one clear line and exit code 1, must lose no file that was
there, and must leave nothing that keeps the next run from ending with the bytes of an
undisturbed one. Prints one JSON line a stage.
"""

import ctypes
import io
import json
import os
import shlex
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from spa.dag import Stage
from spa.files import hash_file
from spa.layout import Layout
from stages._app import run
from tests.pipeline.in_process import in_order


def fail_each(pipeline: Path, library: ctypes.CDLL, stage: Stage, every: int) -> dict[str, object]:
    """Fail writes of one stage in turn; the pipeline is left as after an undisturbed run."""
    before, after = (pipeline.with_name(f"{pipeline.name}-{name}") for name in ("before", "after"))
    _copy(pipeline, before)
    library.fail_at(os.fsencode(f"{pipeline}/"), 0)
    code, error = _run(stage.cmd, pipeline)
    writes = library.writes_seen()
    if code:
        raise RuntimeError(f"{stage.name}: failed by itself: {error}")
    _copy(pipeline, after)
    wrong: list[str] = []
    for k in range(1, writes + 1, every):
        _copy(before, pipeline)
        library.fail_at(os.fsencode(f"{pipeline}/"), k)
        code, error = _run(stage.cmd, pipeline)
        library.fail_at(b"", 0)
        wrong += (f"write {k}: {what}" for what in _faults(code, error, before, pipeline))
        code, error = _run(stage.cmd, pipeline)
        different = _different(after, pipeline)
        if code or different:
            wrong.append(f"write {k}: the next run: exit code {code}, {error}{different}")
    _copy(after, pipeline)
    failed = len(range(1, writes + 1, every))
    return {"stage": stage.name, "writes": writes, "failed": failed, "wrong": wrong}


def _faults(code: int, error: str, before: Path, pipeline: Path) -> list[str]:
    found = []
    if code != 1:
        found.append(f"exit code {code}")
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    if len(lines) != 1 or "No space left on device" not in lines[0]:
        found.append(f"said {error!r}")
    was, left = _hashes(before), _hashes(pipeline)
    lost = [name for name, digest in was.items() if left.get(name) != digest]
    return found + [f"lost {name}" for name in lost]


def _different(wanted: Path, pipeline: Path) -> list[str]:
    one, two = _hashes(wanted), _hashes(pipeline)
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def _hashes(pipeline: Path) -> dict[str, str]:
    files = (p for name in ("data", ".cache") for p in (pipeline / name).rglob("*"))
    return {str(p.relative_to(pipeline)): hash_file(p) for p in files if p.is_file()}


def _copy(source: Path, target: Path) -> None:
    """Data alone: code and params stay as they are."""
    for name in ("data", ".cache"):
        shutil.rmtree(target / name, ignore_errors=True)
        if (source / name).exists():
            shutil.copytree(source / name, target / name)


def _run(command: str, pipeline: Path) -> tuple[int, str]:
    os.chdir(pipeline)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as error:
        try:
            run(shlex.split(command)[1:])
        except SystemExit as stop:
            return int(stop.code or 0), error.getvalue()
        except BaseException as other:
            return -1, repr(other)
    return 0, error.getvalue()


def main() -> None:
    """All stages in the order that they depend on each other."""
    pipeline, every = Path(sys.argv[1]).resolve(), int(sys.argv[3])
    library = ctypes.CDLL(sys.argv[2])
    library.fail_at.argtypes = [ctypes.c_char_p, ctypes.c_long]
    library.writes_seen.restype = ctypes.c_long
    for stage in in_order(Layout(pipeline)):
        print(json.dumps(fail_each(pipeline, library, stage, every)), flush=True)


if __name__ == "__main__":
    main()
