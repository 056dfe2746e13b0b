"""What DVC, MLflow, Great Expectations and our own code cost beside the models."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from speed.ratios import Comparison
from tests.pipeline.tiny_params import ROOT, write_pipeline
from tests.tiny import write_tiny_model

BIN = Path(sys.executable).parent
ROUNDS = 3
WRITE = """
import sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
name = Path(sys.argv[1])
name.mkdir()
numbers = np.random.default_rng(int(str(name)[-1])).random(500 * 10**6 // 8)
save_file({"weight": numbers}, name / "model.safetensors")
"""
"""A stage that writes random weights of 500 MB in the format of a policy."""
TOKENIZER = """
import sys
from transformers import AutoTokenizer
AutoTokenizer.from_pretrained(sys.argv[1])
"""
MODEL = f"""{TOKENIZER}
from transformers import AutoModelForCausalLM
AutoModelForCausalLM.from_pretrained(sys.argv[1])
"""
LOADS = {
    **dict.fromkeys(("split", "report"), "pass"),
    **dict.fromkeys(("filter", "calibrate"), TOKENIZER),
    **dict.fromkeys(("base", "seed", "baseline", "evaluate_seed", "rival"), MODEL),
    **dict.fromkeys(("generate", "judge", "train", "evaluate"), MODEL),
}
"""What each stage takes of torch and transformers, as a bare script.

transformers imports most of itself, and torch, only when something is loaded.
"""

COMPARISONS = (
    Comparison(
        "help", "overhead:help", ("limits:half_a_second",), 1.0, note="`spa --help` against 0.5 s"
    ),
    Comparison(
        "no_op", "overhead:no_op", ("limits:five_seconds",), 1.0,
        note="`dvc repro` with nothing to do, against 5 s",
    ),
    Comparison(
        "disk", "overhead:disk", ("limits:models_on_disk",), 1.0, quantity="times", unit="x",
        note="base and three rounds of 500 MB each, as a multiple of their size; the limit is 1.1",
    ),
)  # fmt: skip
SHARE = (
    Comparison(
        "overhead", "overhead:whole", ("limits:a_tenth",), 1.0,
        quantity="share", unit="of the stage time",
        note="a tiny pipeline's time less what loading its models takes alone, of the starter's",
    ),
)  # fmt: skip


def help(work: dict[str, Any]) -> dict[str, Any]:
    """`spa --help`, the second time."""
    _wall([str(BIN / "spa"), "--help"], Path.cwd())
    return {"seconds": _wall([str(BIN / "spa"), "--help"], Path.cwd())}


def no_op(work: dict[str, Any]) -> dict[str, Any]:
    """`dvc repro` on a pipeline that is up to date."""
    with _pipeline() as folder:
        _repro(folder)
        return {"seconds": _repro(folder)}


def whole(work: dict[str, Any]) -> dict[str, Any]:
    """A tiny pipeline's `dvc repro`, whose models take no time worth the name.

    Taken off is what bare scripts take, stage by stage, to load with transformers what the stage
    loads. `share` is of the stage time of the finished run that `work` names.
    """
    with _pipeline() as folder:
        seconds = _repro(folder)
        stages = [name.partition("@")[0] for name in _lock(folder)["stages"]]
        alone = {code: _python(code, folder.parent / "model") for code in set(LOADS.values())}
    loading = sum(alone[LOADS[stage]] - alone["pass"] for stage in stages)
    overhead = seconds - loading
    return {
        "seconds": seconds,
        "stages": len(stages),
        "loading": loading,
        "overhead": overhead,
        "share": overhead / stage_seconds(Path(work["run"])),
    }


def disk(work: dict[str, Any]) -> dict[str, Any]:
    """Policies of three rounds and the base under this project's DVC settings."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        subprocess.run(["git", "init", "-q", scratch], check=True)
        (folder / ".dvc").mkdir()
        (folder / ".dvc" / "config").write_text((ROOT / ".dvc" / "config").read_text())
        (folder / "write.py").write_text(WRITE)
        names = [f"policy-{n}" for n in range(ROUNDS + 1)]
        stages = {n: {"cmd": f"{sys.executable} write.py {n}", "outs": [n]} for n in names}
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
        start = time.perf_counter()
        _repro(folder)
        seconds = time.perf_counter() - start
        used = int(subprocess.check_output(["du", "-s", "--block-size=1", scratch]).split()[0])
        size = sum((folder / name / "model.safetensors").stat().st_size for name in names)
    return {"seconds": seconds, "times": used / size}


def stage_seconds(run: Path) -> float:
    """Seconds inside all stages of a finished pipeline, as its MLflow runs have them."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{run.resolve() / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.`mlflow.parentRunId` != ''")
    ended = [run.info for run in runs if run.info.end_time]
    return float(sum((run.end_time - run.start_time) / 1000 for run in ended))


@contextmanager
def _pipeline() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        model = write_tiny_model(Path(scratch) / "model", seed=0)
        yield write_pipeline(Path(scratch) / "pipeline", model)


def _repro(folder: Path) -> float:
    return _wall([str(BIN / "dvc"), "repro"], folder)


def _lock(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "dvc.lock").read_text())
    return found


def _python(code: str, model: Path) -> float:
    return min(_wall([sys.executable, "-c", code, str(model)], Path.cwd()) for _ in range(2))


def _wall(command: list[str], folder: Path) -> float:
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return seconds
