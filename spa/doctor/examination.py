"""All checks in turn; each one that needs what another found faulty is left out."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from spa.compute import Compute
from spa.doctor.budget import check_budget
from spa.doctor.data import check_data, check_pools
from spa.doctor.engines import check_engines
from spa.doctor.finding import Finding, fault, faults_or_ok, note
from spa.doctor.launches import check_launch
from spa.doctor.leftovers import check_leftovers
from spa.doctor.machine import check_device, check_room, check_versions
from spa.doctor.services import check_endpoint, check_remote, check_tracking
from spa.doctor.settings import (
    check_adapters,
    check_base,
    check_code,
    check_compute,
    check_dag,
    check_judges,
    check_lock,
    check_sources,
    check_steps,
)
from spa.doctor.template import check_policies, check_template
from spa.errors import SpaError
from spa.layout import Layout
from spa.models import load_config, load_encoder
from spa.param_files import read_params
from spa.params import Params, Split
from spa.planning import PipelinePlan, plan_pipeline
from spa.planning.size import base_folder
from spa.raw_data import RawData
from spa.splits import Pools


def examine(layout: Layout) -> list[Finding]:
    """Look at params, data, tokenizer, machine and services of a pipeline; nothing is written.

    Weights are not loaded, and nothing is paid for or downloaded.
    """
    raw: Any = None
    params: Params | None = None
    try:
        raw, params, faults = read_params(layout.params)
    except SpaError as error:
        faults = [str(error)]
    named = [
        text if text.startswith(str(layout.params)) else f"params.yaml: {text}" for text in faults
    ]
    findings = faults_or_ok("params", named, "params.yaml is valid, rounds included")
    compute, found = check_compute(layout)
    findings += found
    data, found = _data(layout, params, raw)
    findings += found
    if params is not None:
        findings += _with_params(layout, params, compute, data)
    return (
        findings
        + check_versions()
        + check_device(compute)
        + [
            *check_leftovers(layout),
            *check_tracking(layout),
            *check_remote(layout),
        ]
    )


def _data(layout: Layout, params: Params | None, raw: Any) -> tuple[RawData | None, list[Finding]]:
    """The raw data, also where only other sections of params.yaml are at fault."""
    section = raw.get("split") if isinstance(raw, Mapping) else None
    try:
        split = params.split if params else Split.model_validate(section)
    except ValidationError:
        return None, []  # its faults are told already
    return check_data(split, layout.root)


def _with_params(
    layout: Layout, params: Params, compute: Compute, data: RawData | None
) -> list[Finding]:
    findings = [
        *check_sources(params.model_dump()),
        *check_base(layout, params),
        *check_adapters(params),
        *check_steps(params),
        *check_dag(layout),
        *check_lock(layout),
        *check_code(layout),
        *check_judges(layout, params),
        *check_engines(params, compute),
        *check_launch(params, compute),
    ]
    pools: Pools | None = None
    if data is not None:
        pools, found = check_pools(params, data)
        findings += found
    plan: PipelinePlan | None = None
    try:
        plan = plan_pipeline(layout, params, compute, probe=False)
    except SpaError:
        pass  # `check_steps` and `check_dag` say why
    findings += _tokens(layout, params, pools, plan)
    if plan is not None:
        findings += check_room(layout, compute, plan)
    return findings + check_endpoint(layout, params)


def _tokens(
    layout: Layout, params: Params, pools: Pools | None, plan: PipelinePlan | None
) -> list[Finding]:
    """Everything that needs the base's tokenizer."""
    stale = {stage.name for stage in plan.to_run} if plan else set()
    folder = base_folder(layout, params)
    if folder is None:
        text = "the base is not here yet: template and lengths wait for `dvc repro base`"
        return [note("template", text)]
    try:
        encoder, config = load_encoder(folder), load_config(folder)
    except SpaError as error:
        return [fault("template", error)]
    made = {"seed": "0", "rival": "rival"} | {f"train@{n}": n for n in params.rounds}
    policies = [layout.policy(name) for stage, name in made.items() if stage not in stale]
    findings = check_policies(encoder, [place for place in policies if place.is_dir()])
    if pools is None:
        return findings
    context = getattr(config, "max_position_embeddings", None)
    return [
        *findings,
        *check_template(encoder, pools),
        *check_budget(encoder, params, pools, context),
    ]
