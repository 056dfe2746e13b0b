"""What tests ask of findings, and pipelines with changed params."""

from collections.abc import Callable
from typing import Any

import yaml

from spa.doctor import Finding
from spa.doctor.data import check_data, check_pools
from spa.layout import Layout
from spa.param_files import check_params, load_params
from spa.params import Params
from spa.splits import Pools


def faults_of(findings: list[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.state == "fault"]


def notes_of(findings: list[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.state == "note"]


def edit(layout: Layout, change: Callable[[dict[str, Any]], None]) -> Params:
    raw = yaml.safe_load(layout.params.read_text())
    change(raw)
    layout.params.write_text(yaml.safe_dump(raw, sort_keys=False))
    params, faults = check_params(raw)
    assert params is not None, faults
    return params


def pools_of(layout: Layout) -> Pools:
    params = load_params(layout.params)
    data, _ = check_data(params.split, layout.root)
    assert data is not None
    pools, _ = check_pools(params, data)
    assert pools is not None
    return pools
