"""SPA without a human seed: an instruct model is round 0, the model it was made of the base."""

import shutil
from pathlib import Path

import pytest
import yaml
from transformers import AutoTokenizer

from spa.compute import Compute
from spa.errors import ModelError
from spa.layout import Layout
from spa.models import load_policy, model_hash
from spa.records import Pair, Response, Score, TrainingRow
from spa.scoring import response_logps
from spa.seeds import derive_seed
from spa.tables import read_table
from stages import base, generate, judge, split, train
from tests.pipeline.tiny_params import write_pipeline

CPU = Compute(device="cpu")


@pytest.fixture
def pretrained(other_folder: Path, tmp_path: Path) -> Path:
    """A model that cannot chat: no template."""
    folder = tmp_path / "pretrained"
    shutil.copytree(other_folder, folder)
    (folder / "chat_template.jinja").unlink()
    return folder


def _pipeline(folder: Path, source: Path, policy: Path, database: Path) -> Layout:
    root = write_pipeline(folder, source, code=False, base={"policy": str(policy)})
    shutil.copy(database, root)
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["split"] |= {"seed_pairs": 0, "gold": 0, "source": None}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return Layout(root)


def test_round_one_is_judged_by_the_instruct_model_against_its_base(
    pretrained: Path,
    tiny_folder: Path,
    database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layout = _pipeline(tmp_path / "pipeline", pretrained, tiny_folder, database)
    monkeypatch.chdir(layout.root)
    base.main()
    split.main()
    train.main(0)
    generate.main(1)
    judge.main(1)
    assert read_table(layout.pool("seed"), Pair) == []
    assert read_table(layout.training_log(0), TrainingRow) == []
    assert model_hash(layout.policy(0)) == model_hash(tiny_folder)
    assert model_hash(layout.policy("base")) == model_hash(pretrained)
    responses = read_table(layout.responses(1), Response)
    assert {r.model for r in responses} == {model_hash(tiny_folder)}
    for r in responses:
        assert r.seed == derive_seed(1, "generate", 1, r.prompt_id, r.sample)
    scores = read_table(layout.scores(1), Score)
    policy, reference = (
        response_logps(load_policy(layout.policy(name), CPU), responses, token_budget=512)
        for name in ("0", "base")
    )
    expected = [a - b for a, b in zip(policy, reference, strict=True)]
    assert [s.reward for s in scores] == pytest.approx(expected, abs=1e-3)


def test_a_policy_with_other_tokens_is_refused(
    pretrained: Path,
    tiny_folder: Path,
    database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_folder, other)
    tokenizer = AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens([f"<new-{n}>" for n in range(40)])
    tokenizer.save_pretrained(other)
    layout = _pipeline(tmp_path / "pipeline", pretrained, other, database)
    monkeypatch.chdir(layout.root)
    with pytest.raises(ModelError, match=r"base.policy: its tokenizer does not fit base.source"):
        base.main()
