"""vLLM is looked for where compute.yaml says."""

from spa.compute import Compute
from spa.doctor.engines import check_engines
from spa.layout import Layout
from spa.param_files import load_params
from tests.spa.doctor.examined import edit


def test_vllm_is_looked_for_where_a_stage_samples_with_it(pipeline: Layout) -> None:
    other = pipeline.root / "python"
    other.write_text("#!/bin/sh\necho vllm 0.32.0\n")
    other.chmod(0o755)
    here = Compute.model_validate({"vllm": {"python": str(other)}})
    nowhere = Compute.model_validate({"vllm": {"python": "/no/python"}})
    params = load_params(pipeline.params)
    assert check_engines(params, nowhere) == []
    params = edit(pipeline, lambda raw: raw["rounds"]["2"]["generate"].update(engine="vllm"))
    [found] = check_engines(params, here)
    assert (found.state, found.text) == ("ok", f"vllm 0.32.0 can be imported by {other}")
    [missing] = check_engines(params, nowhere)
    assert missing.state == "fault"
    assert missing.text.startswith("compute.yaml: vllm.python: found '/no/python', which cannot")
