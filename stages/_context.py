"""What every stage needs first: where it is, what it was asked, and where to log."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # `spa --help` imports this file: half of its time would go to these
    from spa.chunks import Chunks
    from spa.compute import Compute
    from spa.layout import Layout
    from spa.params import Params

RoundOption = Annotated[int, typer.Option("--round", min=1, help="Round to work on, from 1.")]


@dataclass(frozen=True)
class Context:
    """The pipeline a stage was called in; `params` has the round's overrides merged in.

    `beta` is the one of all rounds, whatever a round trains with: it turns rewards, which are
    sums over all rounds before, into probabilities.
    `chunks` holds what the stage has done already, should it be killed; it is emptied when
    the stage succeeds.
    """

    layout: "Layout"
    params: "Params"
    compute: "Compute"
    chunks: "Chunks"
    beta: float


@contextmanager
def stage_context(
    round: int | None = None,
    *,
    stage: str | None = None,
    name: str | None = None,
    tool: bool = False,
) -> Iterator[Context]:
    """Find the pipeline around the working directory and read its params.

    Args:
        round: whose overrides of params hold.
        stage: names the folder of what the stage keeps until it succeeds; tools keep nothing.
        name: stands for the round in it.
        tool: whatever code the pipeline ran with, as only its files are read.

    Raises:
        ArtefactError: the installed code is not the pipeline's (`spa.code_lock`), or a policy
            not the one that its stage wrote.
    """
    from spa.chunks import Chunks, surroundings
    from spa.code_lock import check_code
    from spa.layout import Layout
    from spa.manifest import check_policies
    from spa.param_files import load_compute, load_params
    from spa.tracking.stages import child_name

    layout = Layout.find()
    if not tool:
        check_code(layout)
    params = load_params(layout.params)
    beta = params.train.beta
    if round is not None:
        params = params.for_round(round)
    compute = load_compute(layout.compute)
    if stage:
        check_policies(
            layout, "seed" if (stage, round) == ("train", 0) else child_name(stage, round)
        )
    folder = layout.unfinished(stage or "tool", round if name is None else name)
    chunks = Chunks(folder, *surroundings(), compute.model_dump())
    yield Context(layout, params, compute, chunks, beta)
    if stage:
        chunks.clear()
