"""Engines beside transformers: can they be started where compute.yaml says?"""

from spa.compute import Compute
from spa.doctor.finding import Finding, fault, ok
from spa.errors import EngineError
from spa.generation.vllm_process import installed
from spa.params import Params


def check_engines(params: Params, compute: Compute) -> list[Finding]:
    """vLLM, where a stage samples with it; it is imported, which takes some seconds."""
    if "vllm" not in params.engines:
        return []
    try:
        found = installed(compute.vllm.interpreter, check=True)
    except EngineError as error:
        return [fault("engine", error)]
    return [ok("engine", f"{found} can be imported by {compute.vllm.interpreter}")]
