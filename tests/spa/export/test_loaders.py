"""The bundle in the hands of those it is for: transformers, datasets, TRL and Croissant."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

from spa.export import export_round
from spa.layout import Layout
from spa.param_files import load_params
from spa.records import JudgedPair, Pair
from spa.tables import read_table


@pytest.fixture(scope="module")
def bundle(exported_run: Layout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "round-2"
    return export_round(exported_run, load_params(exported_run.params), 2, out).folder


def _load(bundle: Path, cache: Path, *name: str) -> Dataset:
    return load_dataset(str(bundle / "data"), *name, split="train", cache_dir=str(cache))


def test_transformers_loads_the_policy_with_its_template(bundle: Path, tiny_folder: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(bundle / "model")
    own: Any = AutoModelForCausalLM.from_pretrained(tiny_folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(bundle / "model")
    messages = [{"role": "user", "content": "Why does bread rise?"}]
    inputs = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    assert torch.equal(model(**inputs).logits, own(**inputs).logits)
    answer = model.generate(**inputs, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert answer.shape[1] == inputs["input_ids"].shape[1] + 4


def test_datasets_loads_what_was_trained_on_by_default(
    bundle: Path, exported_run: Layout, tmp_path: Path
) -> None:
    trained = [
        *(pair.pair_id for pair in read_table(exported_run.pool("seed"), Pair)),
        *(p.pair_id for n in (1, 2) for p in read_table(exported_run.kept(n), JudgedPair)),
    ]
    assert _load(bundle, tmp_path)["pair_id"][:] == trained
    assert set(_load(bundle, tmp_path, "round-2")["round"][:]) == {2}
    dropped = _load(bundle, tmp_path, "dropped")
    assert set(dropped["decision"][:]) == {"dropped"}
    assert not set(dropped["pair_id"][:]) & set(trained)


def test_trl_trains_on_the_pairs_as_they_are(bundle: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bundle / "model")
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(bundle / "model"),
        ref_model=AutoModelForCausalLM.from_pretrained(bundle / "model"),
        args=DPOConfig(
            output_dir=str(tmp_path / "out"), per_device_train_batch_size=4, max_steps=1,
            use_cpu=True, bf16=False, report_to=[], save_strategy="no", disable_tqdm=True,
            activation_checkpointing=False,
        ),
        train_dataset=_load(bundle, tmp_path),
        processing_class=tokenizer,
    )  # fmt: skip
    prepared = trainer.train_dataset
    assert isinstance(prepared, Dataset)
    assert len(prepared) == 28
    row = prepared[0]
    whole = tokenizer.decode([*row["prompt_ids"], *row["chosen_ids"]])
    assert "Why" in whole
    assert "<|im_start|>assistant\nBecause" in whole
    assert trainer.train().training_loss == pytest.approx(0.693147, abs=1e-3)  # ln 2


def test_croissant_is_valid_and_reads_the_same_rows(bundle: Path, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    data = mlcroissant.Dataset(jsonld=str(bundle / "data" / "croissant.json"))
    for name in ("seed", "round-1", "round-2", "dropped"):
        rows = [_plain(row) for row in data.records(name)]
        assert rows == [_plain(row) for row in _load(bundle, tmp_path, name)]


def _plain(value: Any) -> Any:
    """A row without the names that Croissant puts before those of columns, and as text."""
    if isinstance(value, dict):
        return {key.rpartition("/")[2]: _plain(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_plain(own) for own in value]
    return value.decode() if isinstance(value, bytes) else value
