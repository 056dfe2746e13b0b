"""A PostgreSQL of the machine's own packages, for tests of what is kept in one."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def postgres() -> Iterator[str]:
    """Start one in a temporary folder, on a socket there and no port; its SQLAlchemy URI.

    It refuses to run as root; nobody runs it then.
    """
    binaries = _binaries()
    owner: dict[str, Any] = {"user": "nobody"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # sockets have short paths
        folder = Path(name)
        if owner:
            shutil.chown(folder, owner["user"])
        data = str(folder / "data")
        made = [str(binaries / "initdb"), "--auth=trust", "--username=spa", "--no-sync", data]
        subprocess.run(made, check=True, cwd=folder, capture_output=True, **owner)
        control = [str(binaries / "pg_ctl"), "-D", data]
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        start = [*control, "-o", options, "-l", str(folder / "log"), "-w", "start"]
        subprocess.run(start, check=True, cwd=folder, stdout=subprocess.DEVNULL, **owner)
        try:
            yield f"postgresql+psycopg2://spa@/postgres?host={folder}"
        finally:
            stop = [*control, "-m", "immediate", "stop"]
            subprocess.run(stop, check=True, cwd=folder, capture_output=True, **owner)


def _binaries() -> Path:
    """Where initdb and pg_ctl are: on PATH, or where Debian's package puts them."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists():
            return place
    pytest.skip("needs PostgreSQL, and initdb is absent (Debian: apt-get install postgresql)")
