"""Whatever is typed after `spa`: exit code 0, 1 with one line, or 2; never a traceback."""

import contextlib
import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages._app import STAGES, TOOLS, run

WORDS = st.sampled_from(
    ["--round", "--json", "--prompt", "--policy", "--reference", "--out", "--reason", "--file",
     "0", "1", "-1", "99999999999999999999", "nothing.jsonl", "x.json", "/", ".", "main:2", "é\x00"]
) | st.text(max_size=8)  # fmt: skip
COMMANDS = st.sampled_from([name for name in (*STAGES, *TOOLS) if name != "ui"])


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that no pipeline is around."""
    return tmp_path_factory.mktemp("nowhere")


@settings(max_examples=60)
@given(COMMANDS, st.lists(WORDS, max_size=5))
def test_any_words_end_with_a_code_and_a_line(
    nowhere: Path, command: str, words: list[str]
) -> None:
    before, error = Path.cwd(), io.StringIO()
    os.chdir(nowhere)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
            with pytest.raises(SystemExit) as stop:
                run([command, *words])
    finally:
        os.chdir(before)
    assert stop.value.code in (0, 1, 2)
    if stop.value.code == 1:
        lines = error.getvalue().splitlines()
        assert sum(line.startswith("error: ") for line in lines) == 1, error.getvalue()
