"""`spa score` on 500 answers of the real model: exact, and with one model in memory."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from spa.compute import Compute
from spa.importing.answers import read_answers
from spa.importing.pairs import read_pairs
from spa.models import load_policy, save_policy

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
ANSWERS = 500
CPU = Compute(device="cpu", dtype="float32")
SAYS_ITS_PEAKS = """
import resource, sys
import spa.answers
from stages import _app
read = spa.answers._read_by
def noted(*arguments):
    found = read(*arguments)
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
    return found
spa.answers._read_by = noted
_app.run(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def moved_folder(real_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real model after a small random step, a second model of the same vocabulary."""
    policy = load_policy(real_folder, CPU)
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight += 0.02 * weight.std() * torch.randn(weight.shape, generator=random)
    folder = tmp_path_factory.mktemp("moved")
    save_policy(policy.model, policy.encoder.tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter's own answers, samples of the model; some moved to another question."""
    pairs = read_pairs("data/raw/starter/pairs.jsonl", ROOT).pairs
    rows = [
        {"prompt": p.prompt, "response": text, "finish_reason": finish}
        for p in pairs
        for text, finish in (
            (p.chosen, p.chosen_finish_reason),
            (p.rejected, p.rejected_finish_reason),
        )
    ]
    rows += [{**rows[i], "prompt": rows[i + 7]["prompt"]} for i in range(100)]
    rows = rows[:ANSWERS]
    path = tmp_path_factory.mktemp("answers") / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@torch.no_grad()
def _one_at_a_time(folder: Path, file: Path) -> list[float]:
    """Sums over the answer's positions of the float32 model's logits: no batch, no padding.

    The softmax is taken in float64: torch's float32 log_softmax on a CPU is itself off by some
    7e-6 nats a token at 49,152 logits, always to the same side, which adds up to 4e-4 an answer.
    """
    policy = load_policy(folder, CPU)
    sums = []
    for answer in read_answers(str(file), ROOT):
        sequence = policy.encoder.sequence(answer.prompt, answer.text, answer.finish_reason)
        ids, start = torch.tensor([sequence.prompt + sequence.answer]), len(sequence.prompt)
        logps = policy.model(input_ids=ids).logits[0, start - 1 : -1].double().log_softmax(-1)
        sums.append(math.fsum(logps.gather(1, ids[0, start:, None])[:, 0].tolist()))
    return sums


def _peaks(*command: str) -> list[int]:
    """Run `spa`; its peak of resident memory, in bytes, after each model that it has read with."""
    done = subprocess.run(
        [sys.executable, "-c", SAYS_ITS_PEAKS, *command],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("peak ")]


def test_five_hundred_answers_as_one_by_one_and_one_model_in_memory(
    real_folder: Path, moved_folder: Path, file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.parquet"
    first, both = _peaks(
        "score", str(file), "--policy", str(moved_folder), "--reference", str(real_folder),
        "--out", str(out),
    )  # fmt: skip
    weights = (real_folder / "model.safetensors").stat().st_size
    table = pq.read_table(out).to_pydict()
    assert len(table["reward"]) == ANSWERS
    errors = {}
    for column, folder in (("policy_logp", moved_folder), ("reference_logp", real_folder)):
        expected = _one_at_a_time(folder, file)
        errors[column] = max(abs(a - b) for a, b in zip(table[column], expected, strict=True))
    gaps = [abs(reward) for reward in table["reward"]]
    print(f"largest errors {errors}; mean |reward| {sum(gaps) / ANSWERS:.2f} nats")
    print(f"peak {both / 2**20:.0f} MiB, {first / 2**20:.0f} after the first model")
    assert max(errors.values()) < 1e-4
    assert both < first + 0.25 * weights
