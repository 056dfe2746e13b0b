"""The command line: help that loads nothing, errors that are one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stages._app import STAGES, TOOLS
from tests.pipeline.tiny_params import write_pipeline

SPA = [sys.executable, "-c", "from stages._app import run; run()"]


def _spa(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SPA, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def pipeline(tmp_path: Path, tiny_folder: Path) -> Path:
    return write_pipeline(tmp_path, tiny_folder)


def test_help_names_every_command_and_loads_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom stages._app import run\n"
        "try:\n    run(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'transformers', 'mlflow', 'great_expectations', 'pandas')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    for name in (*STAGES, *TOOLS):
        assert f" {name} " in done.stdout


def test_every_stage_has_a_file_and_a_help(tmp_path: Path) -> None:
    for name in STAGES:
        done = _spa(name, "--help", cwd=tmp_path)
        assert done.returncode == 0
        assert len(done.stdout) > 200


def test_outside_a_pipeline_it_says_so(tmp_path: Path) -> None:
    done = _spa("split", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "found no dvc.yaml here or in a folder above" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_row_without_chosen_stops_split_with_one_line(pipeline: Path) -> None:
    file = pipeline / "data" / "raw" / "pairs.jsonl"
    lines = file.read_text().splitlines()
    row = json.loads(lines[4])
    del row["chosen"]
    lines[4] = json.dumps(row)
    file.write_text("\n".join(lines))
    done = _spa("split", cwd=pipeline)
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/raw/pairs.jsonl, row 5, field 'chosen': missing")
    assert done.stderr.count("\n") == 1
    assert not (pipeline / "data" / "pools").exists()


def test_wrong_params_stop_every_stage_with_one_line(pipeline: Path) -> None:
    params = pipeline / "params.yaml"
    params.write_text(params.read_text().replace("alpha: 0.1", "alpha: 7"))
    done = _spa("judge", "--round", "1", cwd=pipeline)
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml: train.alpha: found 7")
    assert done.stderr.count("\n") == 1


def test_wrong_usage_is_exit_code_2(pipeline: Path) -> None:
    assert _spa("judge", cwd=pipeline).returncode == 2
    assert _spa("evaluate", cwd=pipeline).returncode == 2
    assert _spa("nothing", cwd=pipeline).returncode == 2


def test_commands_act_on_the_pipeline_around_them(pipeline: Path) -> None:
    deep = pipeline / "data" / "raw"
    done = _spa("split", cwd=deep)
    assert done.returncode == 0, done.stderr
    assert (pipeline / "data" / "pools" / "seed.parquet").exists()


def test_a_stage_whose_input_is_missing_says_what_to_run(pipeline: Path) -> None:
    done = _spa("judge", "--round", "1", cwd=pipeline)
    assert done.returncode == 1
    assert "data/round-1/responses.parquet: not found" in done.stderr
    assert "dvc repro" in done.stderr


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
