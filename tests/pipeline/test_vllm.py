"""A stage of the pipeline with the real vLLM: the answers are those of the transformers engine."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import base, evaluate, split
from tests.pipeline.tiny_params import write_pipeline
from tests.tiny import write_tiny_model
from tests.vllm_environment import vllm_compute


@pytest.mark.slow
def test_vllm_answers_the_held_out_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = vllm_compute().model_dump(exclude_unset=True)
    model = write_tiny_model(tmp_path / "model", seed=0, heads=1)
    outputs: dict[str, Any] = {}
    for engine in ("transformers", "vllm"):
        folder = write_pipeline(tmp_path / engine, model, evaluate={"engine": engine})
        (folder / "compute.yaml").write_text(yaml.safe_dump(compute), encoding="utf-8")
        monkeypatch.chdir(folder)
        base.main()
        split.main()
        evaluate.main(base=True)
        file = folder / "data" / "evaluation" / "base" / "outputs.json"
        outputs[engine] = json.loads(file.read_text(encoding="utf-8"))
    assert len(outputs["vllm"]) == 12
    assert outputs["vllm"] == outputs["transformers"]
