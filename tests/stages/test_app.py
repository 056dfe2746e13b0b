"""The command line: help that loads nothing, errors that are one line."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from stages._app import STAGES, TOOLS, in_words, paragraphs, run
from tests.pipeline.tiny_params import write_pipeline

Spa = Callable[..., tuple[int, str, str]]

SPA = [sys.executable, "-c", "from stages._app import run; run()"]


@pytest.fixture
def spa(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Spa:
    """Run `spa` in a folder, within this process: exit code, output and errors."""

    def call(*arguments: str, cwd: Path) -> tuple[int, str, str]:
        monkeypatch.chdir(cwd)
        with pytest.raises(SystemExit) as stop:
            run(list(arguments))
        return int(stop.value.code or 0), *capsys.readouterr()

    return call


@pytest.fixture
def pipeline(tmp_path: Path, tiny_folder: Path, database: Path) -> Path:
    shutil.copy(database, tmp_path)
    return write_pipeline(tmp_path, tiny_folder, code=False)


def test_help_names_every_command_and_loads_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom stages._app import run\n"
        "try:\n    run(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'mlflow', 'pandas', 'pyarrow', 'numpy', 'pydantic', 'yaml')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    for name in (*STAGES, *TOOLS):
        assert f" {name} " in done.stdout


def test_help_breaks_at_the_terminals_width_and_between_paragraphs() -> None:
    assert (
        paragraphs("One\n    line.\n\n    And\n    another.\n    ") == "One line.\n\nAnd another."
    )


def test_an_error_is_one_line_and_exit_code_1_of_the_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [*SPA, "split"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "found no dvc.yaml here or in a folder above" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_told_of_an_error_is_one_line_and_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError) as stop:
        torch.empty(2**50, dtype=torch.uint8)
    assert (in_words(stop.value) or "").startswith("out of memory (")
    assert in_words(OSError(36, "File name too long", "a")) == "a: File name too long"
    bugs = [OSError("?"), KeyError("a"), RuntimeError("b"), ValueError("c")]
    assert [in_words(bug) for bug in bugs] == [None] * 4


@pytest.mark.parametrize("name", [*STAGES, *TOOLS])
def test_every_command_has_a_file_and_a_help(spa: Spa, tmp_path: Path, name: str) -> None:
    code, out, _ = spa(name, "--help", cwd=tmp_path)
    assert code == 0
    assert len(out) > 200


def test_a_row_without_chosen_stops_split_with_one_line(spa: Spa, pipeline: Path) -> None:
    file = pipeline / "data" / "raw" / "pairs.jsonl"
    lines = file.read_text().splitlines()
    row = json.loads(lines[4])
    del row["chosen"]
    lines[4] = json.dumps(row)
    file.write_text("\n".join(lines))
    code, _, error = spa("split", cwd=pipeline)
    assert code == 1
    assert error.startswith("error: data/raw/pairs.jsonl, row 5, field 'chosen': missing")
    assert error.count("\n") == 1
    assert not (pipeline / "data" / "pools").exists()


def test_wrong_params_stop_every_stage_with_one_line(spa: Spa, pipeline: Path) -> None:
    params = pipeline / "params.yaml"
    params.write_text(params.read_text().replace("alpha: 0.1", "alpha: 7"))
    for stage in (["split"], ["judge", "--round", "1"], ["evaluate", "--base"], ["report"]):
        code, _, error = spa(*stage, cwd=pipeline)
        assert code == 1
        assert error.startswith("error: params.yaml: train.alpha: found 7")
        assert error.count("\n") == 1


def test_wrong_usage_is_exit_code_2(spa: Spa, pipeline: Path) -> None:
    for name in ("judge", "evaluate", "nothing"):
        assert spa(name, cwd=pipeline)[0] == 2


def test_commands_act_on_the_pipeline_around_them(spa: Spa, pipeline: Path) -> None:
    code, _, error = spa("split", cwd=pipeline / "data" / "raw")
    assert code == 0, error
    assert (pipeline / "data" / "pools" / "seed.parquet").exists()


def test_a_stage_whose_input_is_missing_says_what_to_run(spa: Spa, pipeline: Path) -> None:
    code, _, error = spa("judge", "--round", "1", cwd=pipeline)
    assert code == 1
    assert "data/round-1/responses.parquet: not found" in error
    assert "dvc repro" in error


@pytest.mark.skipif(sys.platform != "linux", reason="tells glibc, which only Linux has")
def test_freed_memory_is_used_again_without_new_pages() -> None:
    code = (
        "import resource\nfrom stages._app import keep_freed_memory\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "def use():\n    before = faults()\n"
        "    for _ in range(4):\n        bytearray(b'x') * 2**27\n"
        "    return faults() - before\n"
        "fresh = use()\nkeep_freed_memory()\nuse()\nprint(fresh, use())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    fresh, again = map(int, done.stdout.split())
    assert again < fresh / 10
