"""Params of the tiny pipeline with some of them changed."""

from typing import Any

import yaml

from spa.layout import Layout
from spa.param_files import check_params
from spa.params import Params


def changed(pipeline: Layout, **sections: Any) -> Params:
    """Params with the given values in place of those of params.yaml."""
    raw = yaml.safe_load(pipeline.params.read_text())
    for name, values in sections.items():
        raw[name].update(values)
    params, faults = check_params(raw)
    assert params is not None, faults
    return params
