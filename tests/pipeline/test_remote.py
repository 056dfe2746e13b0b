"""A run shared through a bucket: another clone goes on with it and computes nothing twice."""

import json
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from spa.layout import Layout
from tests.pipeline.chaos import ENVIRONMENT, data_hashes
from tests.pipeline.in_process import run_stages
from tests.pipeline.tiny_params import write_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]  # minutes
KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
GIT = ["git", "-c", "user.name=one", "-c", "user.email=one@example.org"]
READ_BY_REPORT = ["baseline", "evaluate_seed", "rival", "evaluate", "calibrate"]
"""What docs/remotes.md says to pull before a round is added."""
ROUND_3 = [f"{stage}@3" for stage in "generate judge filter train evaluate calibrate".split()]


class Shared(NamedTuple):
    """A pipeline of two rounds whose data lie in a bucket, and the same with a third round."""

    origin: Path
    three_rounds: Path


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**ENVIRONMENT, **KEYS}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _commit(folder: Path, message: str) -> None:
    _run(folder, "git", "add", "--all")
    _run(folder, *GIT, "commit", "--quiet", "--message", message)


def _clone(origin: Path, to: Path) -> Path:
    """As a colleague has it: what git holds, and the compute.yaml of the machine."""
    _run(origin, "git", "clone", "--quiet", str(origin), str(to))
    (to / "compute.yaml").write_text("{device: cpu}\n", encoding="utf-8")
    return to


def _add_round_3(folder: Path) -> None:
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["rounds"]["3"] = {**deepcopy(params["rounds"]["2"]), "prev": "2"}
    text = yaml.safe_dump(params, sort_keys=False)
    (folder / "params.yaml").write_text(text, encoding="utf-8")


def _ran(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def _lock(folder: Path) -> dict[str, object]:
    text = (folder / "dvc.lock").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["stages"])


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of a server on loopback that speaks S3 and has one bucket, `runs`."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys)
    client.create_bucket(Bucket="runs")
    yield address
    server.stop()


@pytest.fixture(scope="module")
def shared(bucket: str, tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Shared:
    origin = write_pipeline(tmp_path_factory.mktemp("remote") / "origin", tiny_folder)
    _run(origin, "dvc", "remote", "add", "--default", "store", "s3://runs/spa")
    _run(origin, "dvc", "remote", "modify", "store", "endpointurl", bucket)
    _run(origin, "dvc", "remote", "modify", "store", "region", "us-east-1")
    run_stages(Layout(origin))
    _run(origin, "dvc", "commit", "--force", "--quiet")
    _commit(origin, "Two rounds")
    _run(origin, "dvc", "push", "--quiet")
    three = _clone(origin, origin.with_name("three"))
    _run(three, "dvc", "pull", "--quiet")
    _add_round_3(three)
    run_stages(Layout(three), only={"split", *ROUND_3, "report"})
    return Shared(origin, three)


def test_a_clone_with_the_same_params_only_pulls(shared: Shared, tmp_path: Path) -> None:
    clone = _clone(shared.origin, tmp_path / "clone")
    assert _ran(_run(clone, "dvc", "repro", "--pull")) == []
    assert data_hashes(clone) == data_hashes(shared.origin)
    assert json.loads(_run(clone, "spa", "audit", "--json"))["faults"] == []


def test_a_clone_runs_the_new_round_alone_and_another_one_nothing_of_it(
    shared: Shared, tmp_path: Path
) -> None:
    clone = _clone(shared.origin, tmp_path / "clone")
    before = _lock(clone)
    _run(clone, "dvc", "pull", *READ_BY_REPORT)
    _add_round_3(clone)
    assert _ran(_run(clone, "dvc", "repro", "--pull", "--allow-missing")) == [
        "split", *ROUND_3, "report",
    ]  # fmt: skip
    layout = Layout(clone)
    assert layout.policy(2).is_dir()
    assert not layout.policy(1).exists()  # only what round 3 reads was fetched
    after = _lock(clone)
    assert {n: e for n, e in after.items() if n not in ("split", *ROUND_3, "report")} == {
        n: e for n, e in before.items() if n not in ("split", "report")
    }
    _run(clone, "dvc", "push", "--run-cache", "--quiet")

    _run(clone, "dvc", "pull", "--quiet")
    assert data_hashes(clone) == data_hashes(shared.three_rounds)
    assert json.loads(_run(clone, "spa", "audit", "--json"))["faults"] == []

    other = _clone(shared.origin, tmp_path / "other")
    _run(other, "dvc", "pull", *READ_BY_REPORT)
    _add_round_3(other)
    assert _ran(_run(other, "dvc", "repro", "--pull", "--allow-missing")) == ["report"]
    assert (
        data_hashes(other)["data/report/index.html"] == data_hashes(clone)["data/report/index.html"]
    )
