"""What every stage needs first: where it is, what it was asked, and where to log."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from spa.compute import Compute
from spa.layout import Layout
from spa.param_files import load_compute, load_params
from spa.params import Params

RoundOption = Annotated[int, typer.Option("--round", min=1, help="Round to work on, from 1.")]


@dataclass(frozen=True)
class Context:
    """The pipeline a stage was called in; `params` has the round's overrides merged in."""

    layout: Layout
    params: Params
    compute: Compute


@contextmanager
def stage_context(round: int | None = None) -> Iterator[Context]:
    """Find the pipeline around the working directory and read its params."""
    layout = Layout.find()
    params = load_params(layout.params)
    if round is not None:
        params = params.for_round(round)
    yield Context(layout, params, load_compute(layout.compute))
