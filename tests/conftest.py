"""What all tests share: a tiny model and tokenizer made on the spot, and silence from libraries."""

import gc
import os

gc.disable()  # while tests are collected: it would look at all that is imported again and again

for _name in ("HF_HUB_OFFLINE", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "DVC_NO_ANALYTICS"):
    os.environ[_name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:  # the process that only hands tests out to others reads this file too
    from spa.layout import Layout
    from spa.models import Policy


# no test is timed: a machine that others use too is slow at times
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny models gain nothing from more, and tests may share the machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with a trained byte-level tokenizer and a chat template."""
    from tests.tiny import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("tiny"), seed=0)


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same architecture and tokenizer with other weights."""
    from tests.tiny import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("other"), seed=1)


@pytest.fixture(scope="session")
def real_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter's base, SmolLM2-135M-Instruct, from the package index (for slow tests)."""
    from spa.param_files import load_params
    from spa.sources import materialise

    root = Path(__file__).parents[1]
    folder = tmp_path_factory.mktemp("real")
    materialise(load_params(root / "params.yaml").base.source, folder, root=root)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real annotations, which cannot be part of the project (CC BY-NC 4.0): SPA_SHARED_DATA,
    by default ../shared/data. A test that needs them says so where they are absent."""
    root = Path(__file__).parents[1]
    folder = Path(os.environ.get("SPA_SHARED_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the real annotations, and {folder} is absent (SPA_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def exported_run(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> "Layout":
    """A finished run of two rounds whose policies are the tiny model; not to be changed."""
    from tests.exported_run import write_run

    return write_run(tmp_path_factory.mktemp("exported") / "run", tiny_folder)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database before its first run, to be copied: making one takes seconds."""
    from spa.layout import Layout
    from spa.tracking.server import connect

    layout = Layout(tmp_path_factory.mktemp("mlflow"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        connect(layout)
    return layout.root / "mlflow.db"


@pytest.fixture
def tiny(tiny_folder: Path) -> "Policy":
    from spa.compute import Compute
    from spa.models import load_policy

    return load_policy(tiny_folder, Compute(device="cpu"))


@pytest.fixture
def other(other_folder: Path) -> "Policy":
    from spa.compute import Compute
    from spa.models import load_policy

    return load_policy(other_folder, Compute(device="cpu"))
