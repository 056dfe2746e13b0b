"""Every fault is found, all at once, with its key or file; a healthy pipeline has none."""

import shutil
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from spa.compute import Compute
from spa.dag import read_stages
from spa.doctor import Finding, examine
from spa.doctor.budget import check_budget
from spa.doctor.data import check_data, check_pools
from spa.doctor.engines import check_engines
from spa.doctor.leftovers import check_leftovers
from spa.doctor.machine import check_device, check_room, check_versions, version_fault
from spa.doctor.services import check_endpoint, check_remote, check_tracking
from spa.doctor.settings import (
    check_compute,
    check_dag,
    check_judges,
    check_lock,
    check_steps,
)
from spa.doctor.template import check_policies, check_template
from spa.encoding import Encoder
from spa.layout import Layout
from spa.models import load_encoder
from spa.param_files import check_params, load_params
from spa.params import Params
from spa.planning import PipelinePlan, StagePlan
from spa.planning.pending import pending_stages
from spa.splits import Pools
from tests.loopback import serving
from tests.pipeline.tiny_params import write_pipeline
from tests.tiny import TEMPLATE, make_tokenizer


@pytest.fixture
def pipeline(tmp_path: Path, tiny_folder: Path) -> Layout:
    return Layout(write_pipeline(tmp_path / "tiny", tiny_folder))


def _faults(findings: list[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.state == "fault"]


def _notes(findings: list[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.state == "note"]


def _edit(layout: Layout, change: Callable[[dict], None]) -> Params:  # type: ignore[type-arg]
    raw = yaml.safe_load(layout.params.read_text())
    change(raw)
    layout.params.write_text(yaml.safe_dump(raw, sort_keys=False))
    params, faults = check_params(raw)
    assert params is not None, faults
    return params


def _pools(layout: Layout) -> Pools:
    params = load_params(layout.params)
    data, _ = check_data(params.split, layout.root)
    assert data is not None
    pools, _ = check_pools(params, data)
    assert pools is not None
    return pools


def test_a_healthy_pipeline_has_no_fault(pipeline: Layout) -> None:
    findings = examine(pipeline)
    assert _faults(findings) == []
    assert {f.check for f in findings} >= {
        "params", "data", "pools", "template", "lengths", "memory", "disk", "versions", "device",
        "mlflow", "remote", "steps", "dvc.yaml", "judges", "compute", "tokenizers",
    }  # fmt: skip
    assert not (pipeline.root / "mlflow.db").exists()  # nothing is written


def test_five_faults_of_params_and_one_of_the_data_are_named_at_once(pipeline: Layout) -> None:
    raw = yaml.safe_load(pipeline.params.read_text())
    raw["train"] |= {"alpha": 7, "learning_speed": 1}
    raw["generate"]["temperature"] = -1
    raw["judge"]["method"] = "oracle"
    raw["rounds"]["2"]["prev"] = "9"
    pipeline.params.write_text(yaml.safe_dump(raw, sort_keys=False))
    with (pipeline.raw / "pairs.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"prompt": "Why?"}\n')
    faults = _faults(examine(pipeline))
    for key in (
        "train.alpha", "train.learning_speed", "generate.temperature", "judge.method",
        "rounds.2.prev", "pairs.jsonl, row 25, field 'chosen'",
    ):  # fmt: skip
        assert any(key in text for text in faults), key


def test_a_missing_params_file_is_a_fault(pipeline: Layout) -> None:
    pipeline.params.unlink()
    assert any("params.yaml: not found" in text for text in _faults(examine(pipeline)))


def test_a_base_that_is_not_here_yet_is_a_note(pipeline: Layout) -> None:
    _edit(pipeline, lambda raw: raw["base"].update(source="org/name@" + "0" * 40))
    findings = examine(pipeline)
    assert _faults(findings) == []
    assert any("wait for `dvc repro base`" in text for text in _notes(findings))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{device: sofa}", "device: found 'sofa'"),
        ("{score_tokens: 0, colour: red}", "colour"),
        ("{device: 'cuda:77'}", "cuda:77"),
        ("{device: 'cuda:0', processes: 2}", "processes: found 2 with device: cuda:0"),
        ("{device: mps, processes: 2}", "processes: found 2 with device: mps"),
    ],
)
def test_faults_of_compute(pipeline: Layout, content: str, named: str) -> None:
    pipeline.compute.write_text(content)
    compute, findings = check_compute(pipeline)
    assert any(named in text for text in _faults(findings + check_device(compute)))


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("seed_pairs", 2, "split.seed_pairs: train: found 2 pairs"),
        ("seed_pairs", 30, "split.seed_pairs wants 30 pairs"),
        ("test", 90, "wants"),
    ],
)
def test_too_little_data_is_a_fault(pipeline: Layout, key: str, value: int, named: str) -> None:
    params = _edit(pipeline, lambda raw: raw["split"].update({key: value}))
    data, _ = check_data(params.split, pipeline.root)
    assert data is not None
    faults = _faults(check_steps(params) + check_pools(params, data)[1])
    assert any(named in text for text in faults)


def test_a_round_with_too_few_prompts_names_its_key(pipeline: Layout) -> None:
    params = _edit(pipeline, lambda raw: raw["rounds"]["2"].update(prompts=3))
    assert any(text.startswith("rounds.2.prompts") for text in _faults(check_steps(params)))


def test_many_bad_rows_are_counted(pipeline: Layout) -> None:
    with (pipeline.raw / "pairs.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("no json\n" * 9)
    params = load_params(pipeline.params)
    data, findings = check_data(params.split, pipeline.root)
    assert data is None
    assert len(_faults(findings)) == 6
    assert "4 more faults" in _faults(findings)[-1]


def test_data_on_the_hub_are_a_note(pipeline: Layout) -> None:
    params = _edit(pipeline, lambda raw: raw["split"].update(source="org/name@" + "0" * 40))
    data, findings = check_data(params.split, pipeline.root)
    assert data is None
    assert (len(_notes(findings)), _faults(findings)) == (1, [])


def test_what_dvc_yaml_reads_and_nobody_writes_must_be_there(pipeline: Layout) -> None:
    assert _faults(check_dag(pipeline)) == []
    shutil.rmtree(pipeline.raw / "annotations")
    assert _faults(check_dag(pipeline))[0].startswith("data/raw/annotations: not found")


def test_a_lock_that_was_cut_is_found_and_the_plan_takes_all_stages(pipeline: Layout) -> None:
    assert [f.text for f in check_lock(pipeline)] == ["0 stages have run"]
    cut = "schema: '2.0'\nstages:\n  base:\n    outs:\n    - path: data/base\n      md5: 13303"
    pipeline.dvc_lock.write_text(cut, encoding="utf-8")
    assert "base, outs, data/base: md5 13303 is cut" in _faults(check_lock(pipeline))[0]
    found, why = pending_stages(pipeline, read_stages(pipeline))
    assert found == list(read_stages(pipeline))
    assert why is not None
    assert "check it out from git again" in why


def test_judges_that_are_not_there(pipeline: Layout) -> None:
    def change(raw: dict) -> None:  # type: ignore[type-arg]
        raw["judge"].update(method="reward_model", model="models/none")
        raw["evaluate"].update(annotator=["llm", "recorded"], llm="data/base/policy")
        raw["evaluate"]["recorded"] = "data/raw/annotations/none.json"
        raw["rounds"]["2"]["judge"] = {"method": "rubric"}
        raw["rubric"]["function"] = "nothing"

    faults = _faults(check_judges(pipeline, _edit(pipeline, change)))
    for key in ("judge.model: found no folder", "rounds.1.judge.model", "evaluate.recorded", "rub"):
        assert any(text.startswith(key) for text in faults), key
    assert not any("evaluate.llm" in text for text in faults)  # the pipeline makes that one


def test_vllm_is_looked_for_where_a_stage_samples_with_it(pipeline: Layout) -> None:
    other = pipeline.root / "python"
    other.write_text("#!/bin/sh\necho vllm 0.32.0\n")
    other.chmod(0o755)
    here = Compute.model_validate({"vllm": {"python": str(other)}})
    nowhere = Compute.model_validate({"vllm": {"python": "/no/python"}})
    params = load_params(pipeline.params)
    assert check_engines(params, nowhere) == []
    params = _edit(pipeline, lambda raw: raw["rounds"]["2"]["generate"].update(engine="vllm"))
    [found] = check_engines(params, here)
    assert (found.state, found.text) == ("ok", f"vllm 0.32.0 can be imported by {other}")
    [missing] = check_engines(params, nowhere)
    assert missing.state == "fault"
    assert missing.text.startswith("compute.yaml: vllm.python: found '/no/python', which cannot")


def test_a_special_token_in_the_data_is_found(pipeline: Layout, tiny_folder: Path) -> None:
    encoder = load_encoder(tiny_folder)
    assert _faults(check_template(encoder, _pools(pipeline))) == []
    pools = _pools(pipeline)
    pools.test[0].prompt[0]["content"] += "<|im_start|>"
    pair = pools.seed[0].__class__(**{**pools.seed[0].row(), "chosen": "So.<|im_end|>"})
    pools.seed[0] = pair
    faults = _faults(check_template(encoder, pools))
    assert any(f"prompt {pools.test[0].prompt_id}: its text holds" in text for text in faults)
    assert any(f"pair {pair.pair_id}: its chosen answer" in text for text in faults)


def test_a_template_that_renders_an_answer_otherwise_is_found(pipeline: Layout) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n\n{% endif %}")
    faults = _faults(check_template(Encoder(tokenizer), _pools(pipeline)))
    assert any("do not begin those of the chat" in text for text in faults)


def test_a_template_that_changes_answers_is_a_note(pipeline: Layout) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TEMPLATE.replace("m['content'] }}", "m['content'] | lower }}")
    findings = check_template(Encoder(tokenizer), _pools(pipeline))
    assert _faults(findings) == []
    assert _notes(findings)[0].startswith("changes 16 of 16 answers")


def test_a_policy_with_another_template_is_found(tiny_folder: Path, tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TEMPLATE + "{# other #}"
    tokenizer.save_pretrained(tmp_path)
    findings = check_policies(load_encoder(tiny_folder), [tiny_folder, tmp_path])
    assert len(_faults(findings)) == 1
    assert "its chat template is not the base's" in _faults(findings)[0]


@pytest.mark.parametrize(
    ("section", "values", "context", "named"),
    [
        ("train", {"max_length": 20}, 512, "train.max_length: found 20; 8 of 8 seed pairs"),
        ("train", {"max_length": 20}, 512, "rounds.1: train.max_length: found 20; 8 of 8 prompts"),
        ("evaluate", {"max_new_tokens": 500}, 512, "evaluate.max_new_tokens: 12 of 12 held-out"),
        ("generate", {"max_new_tokens": 500}, 512, "rounds.1: generate.max_new_tokens: 8 of 8"),
        ("evaluate", {}, 30, "split.gold: 8 of 8 gold pairs"),
    ],
)
def test_what_does_not_fit_is_counted(
    pipeline: Layout, tiny_folder: Path, section: str, values: dict[str, int], context: int,
    named: str,
) -> None:  # fmt: skip
    params = _edit(pipeline, lambda raw: raw[section].update(values))
    encoder = load_encoder(tiny_folder)
    faults = _faults(check_budget(encoder, params, _pools(pipeline), context))
    assert any(text.startswith(named) for text in faults), faults


def test_answers_that_would_be_cut_are_a_note(pipeline: Layout, tiny_folder: Path) -> None:
    params = _edit(pipeline, lambda raw: raw["train"].update(max_length=150))
    params = params.model_copy(
        update={"generate": params.generate.model_copy(update={"max_new_tokens": 140})}
    )
    findings = check_budget(load_encoder(tiny_folder), params, _pools(pipeline), 512)
    texts = _notes(findings)
    assert any("evaluate.max_new_tokens: 12 would cut" in text for text in texts)
    assert any("rounds.1: train.max_length: found 150; after 8 of 8" in text for text in texts)


def test_versions() -> None:
    assert _faults(check_versions()) == []
    assert "found" in str(version_fault(Requirement("numpy<1")))
    assert "not installed" in str(version_fault(Requirement("no-such-library>=1")))


def test_too_little_memory_and_disk(pipeline: Layout) -> None:
    stage = StagePlan("train@1", True, memory=10**16, disk=10**18, scratch=0)
    faults = _faults(check_room(pipeline, Compute(device="cpu"), PipelinePlan([stage], [])))
    assert len(faults) == 2
    assert "10000000.0 GB" in faults[0]


def test_the_endpoint_is_asked_for_its_models_alone(
    pipeline: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths: list[str] = []

    def models(request: BaseHTTPRequestHandler) -> tuple[int, Any]:
        paths.append(request.path)
        known = request.headers["Authorization"] == "Bearer right"
        return 200 if known else 401, {"object": "list", "data": []}

    assert check_endpoint(pipeline, load_params(pipeline.params)) == []
    params = _edit(pipeline, lambda raw: raw["evaluate"].update(annotator="alpaca_eval"))
    with serving(models) as address:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        assert "no OPENAI_API_KEY" in _faults(check_endpoint(pipeline, params))[0]
        monkeypatch.setenv("OPENAI_API_KEY", "right")
        assert check_endpoint(pipeline, params)[0].state == "ok"
        monkeypatch.setenv("OPENAI_API_KEY", "wrong-and-secret")
        refused = _faults(check_endpoint(pipeline, params))[0]
    assert "wrong-and-secret" not in refused
    assert paths == ["/v1/models"] * 2
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert "127.0.0.1:9" in _faults(check_endpoint(pipeline, params))[0]


def test_a_tracking_server_that_does_not_answer(
    pipeline: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    fault = _faults(check_tracking(pipeline))[0]
    assert fault.startswith("http://127.0.0.1:9: cannot be reached")
    assert "secret" not in fault


def test_a_remote_that_is_not_there(pipeline: Layout) -> None:
    assert check_remote(pipeline)[0].state == "ok"
    config = pipeline.root / ".dvc" / "config.local"
    remote = "[core]\n    remote = far\n['remote \"far\"']\n    url = http://127.0.0.1:9/dvc\n"
    config.write_text(remote)
    assert _faults(check_remote(pipeline))[0].startswith("far: cannot be reached")


@pytest.mark.parametrize("content", ["", '{"write": {', "{}"])
def test_a_lock_that_a_killed_dvc_half_wrote_is_a_fault(pipeline: Layout, content: str) -> None:
    lock = pipeline.root / ".dvc" / "tmp" / "rwlock"
    assert _faults(check_leftovers(pipeline)) == []
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(content)
    found = _faults(check_leftovers(pipeline))
    assert found == [] if content == "{}" else "`rm .dvc/tmp/rwlock`" in found[0]
