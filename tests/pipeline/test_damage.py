"""Files that were cut or have a flipped bit: one clear line from whoever reads them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spa.errors import ArtefactError
from spa.layout import Layout
from spa.records import JudgedPair, Pair, Prompt, Record, Response, Score, TrainingRow
from spa.tables import read_table
from tests.pipeline.in_process import call, run_stages
from tests.pipeline.tiny_params import write_pipeline

pytestmark = pytest.mark.slow
Damage = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Layout:
    """A pipeline whose stages all ran, in this process."""
    layout = Layout(write_pipeline(tmp_path_factory.mktemp("finished") / "run", tiny_folder))
    run_stages(layout)
    return layout


@pytest.fixture
def layout(finished: Layout) -> Iterator[Layout]:
    """The finished pipeline, put right again afterwards."""
    kept = finished.root.with_name("kept")
    shutil.copytree(finished.root, kept, dirs_exist_ok=False)
    yield finished
    for name in ("data", "params.yaml", "compute.yaml", "dvc.yaml"):
        target = finished.root / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        (kept / name).rename(target)
    shutil.rmtree(kept)


def cut(data: bytes) -> bytes:
    """The first half."""
    return data[: len(data) // 2]


def rubbish(data: bytes) -> bytes:
    """No text, no Parquet, no safetensors."""
    return b"\xff\x00\xfe" * (len(data) // 3 + 1)


TABLES = [
    ("data/pools/1.parquet", "spa generate --round 1"),
    ("data/pools/seed.parquet", "spa train --round 0"),
    ("data/pools/test.parquet", "spa evaluate --round 1"),
    ("data/round-1/responses.parquet", "spa judge --round 1"),
    ("data/round-1/scores.parquet", "spa train --round 1"),
    ("data/round-1/pairs.parquet", "spa filter --round 1"),
    ("data/round-1/kept.parquet", "spa train --round 1"),
    ("data/round-1/training_log.parquet", "spa report"),
    ("data/pools/hidden_gold.parquet", "spa lineage --prompt 0"),
]
OTHERS = [
    ("data/round-0/policy/model.safetensors", "spa generate --round 1"),
    ("data/round-0/policy/config.json", "spa generate --round 1"),
    ("data/round-0/policy/tokenizer.json", "spa generate --round 1"),
    ("data/evaluation/1/annotations.json", "spa compare 0 1"),
    ("data/evaluation/1/metrics.json", "spa report"),
    ("data/calibration/1/metrics.json", "spa report"),
    ("params.yaml", "spa filter --round 1"),
]
KINDS: dict[str, type[Record]] = {
    "1": Prompt, "test": Prompt, "seed": Pair, "hidden_gold": Pair, "responses": Response,
    "scores": Score, "pairs": JudgedPair, "kept": JudgedPair, "training_log": TrainingRow,
}  # fmt: skip


@pytest.mark.parametrize("damage", [cut, rubbish])
@pytest.mark.parametrize(("name", "command"), [*TABLES, *OTHERS])
def test_a_damaged_file_is_named_by_who_reads_it(
    layout: Layout, capsys: pytest.CaptureFixture[str], name: str, command: str, damage: Damage
) -> None:
    file = layout.root / name
    file.write_bytes(damage(file.read_bytes()))
    capsys.readouterr()
    assert call(layout, command) == 1
    _one_line_about(capsys.readouterr().err, file)


@pytest.mark.parametrize("name", [name for name, _ in TABLES])
def test_no_flipped_bit_of_a_table_gives_other_rows(layout: Layout, name: str) -> None:
    """A table that a bit was turned round in is refused, or its rows are what they were.

    Pages carry a checksum; between them and in the footer lies what readers do without.
    """
    file, kind = layout.root / name, KINDS[Path(name).stem]
    data, rows = file.read_bytes(), read_table(file, kind)
    refused = 0
    for place in range(0, len(data), max(1, len(data) // 150)):
        file.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        try:
            assert read_table(file, kind) == rows, f"byte {place}"
        except ArtefactError:
            refused += 1
    assert refused > 30


def _one_line_about(error: str, file: Path) -> None:
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, error
    assert "Traceback" not in error
    assert file.name in lines[0] or file.parent.name in lines[0], error
