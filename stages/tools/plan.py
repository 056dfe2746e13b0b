"""Tool `plan`: what the stages still to run will take."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

RENTED = "h100"
"""The GPU whose hours are shown if those of this machine are unknown."""

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spa.planning import PipelinePlan, StagePlan
    from spa.planning.work import Tokens

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Probe = Annotated[
    bool,
    typer.Option(help="Time the base on this machine to estimate hours; takes a minute or so."),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The base's config.json: gives memory and disk before the base is here.",
    ),
]
Gpu = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Calculate hours and memory for a GPU that is not here: a100, h100 or h200.",
    ),
]
Gpus = Annotated[
    int | None,
    typer.Option(min=1, help="How many of these GPUs; by default `processes` of compute.yaml."),
]
PromptTokens = Annotated[
    int | None, typer.Option(min=1, help="Mean prompt length, instead of that of the data.")
]
AnswerTokens = Annotated[
    int | None, typer.Option(min=1, help="Mean answer length, instead of the measured one.")
]


def main(
    as_json: Json = False,
    probe: Probe = True,
    config: Config = None,
    gpu: Gpu = None,
    gpus: Gpus = None,
    prompt_tokens: PromptTokens = None,
    answer_tokens: AnswerTokens = None,
) -> None:
    """Estimate what each stage still to run takes: steps, tokens, hours, memory, disk, money.

    Steps follow from params.yaml alone (if every pair is kept). Lengths are measured on the data
    and on earlier rounds' answers. Memory and disk need the base, a preset's model or a
    config.json. Hours need the base, for a short probe of this machine, or a GPU's name; without
    either, hours on one and on eight H100s are calculated. What is not known is shown as unknown;
    nothing is written.
    """
    if gpus is not None and gpu is None:
        raise typer.BadParameter("--gpus needs --gpu NAME")
    import contextlib
    import json
    import sys

    from spa.layout import Layout
    from spa.param_files import load_compute, load_params
    from spa.planning import Elsewhere, find_card, plan_pipeline

    layout = Layout.find()
    params, compute = load_params(layout.params), load_compute(layout.compute)

    def planned(name: str | None, count: int | None) -> "PipelinePlan":
        card = None if name is None else find_card(name)
        elsewhere = Elsewhere(card, count, config, prompt_tokens, answer_tokens)
        return plan_pipeline(layout, params, compute, probe=probe, elsewhere=elsewhere)

    with contextlib.redirect_stdout(sys.stderr):  # libraries may chatter
        plan = planned(gpu, gpus)
        unknown = plan.to_run and gpu is None and _total(plan)["hours"] is None
        rented = {count: planned(RENTED, count) for count in (1, 8)} if unknown else {}
    print(json.dumps(as_object(plan, rented)) if as_json else "\n".join(as_table(plan, rented)))


def as_object(plan: "PipelinePlan", rented: "Mapping[int, PipelinePlan]") -> dict[str, Any]:
    """The plan for programs: bytes, hours, US dollars; null is not known.

    `rented` has the hours of so many GPUs where those of this machine are not known.
    """
    return {
        "stages": [_row(stage) for stage in plan.stages],
        "total": _total(plan),
        "rented": [
            {"gpu": RENTED, "gpus": count, "hours": _total(own)["hours"]}
            for count, own in rented.items()
        ],
        "notes": plan.notes,
    }


def _row(stage: "StagePlan") -> dict[str, Any]:
    work = stage.work
    return {
        "stage": stage.name,
        "to_run": stage.to_run,
        "steps": work.steps,
        "answers": work.answers,
        **_tokens("tokens", work.tokens),
        **_tokens("sampled_tokens", work.sampled),
        **_tokens("read_tokens", work.read),
        **_tokens("trained_tokens", work.trained),
        "calls": work.calls,
        **_tokens("call_tokens", work.called),
        "memory": stage.memory,
        "disk": stage.disk,
        "hours": _hours(stage.seconds),
        "hours_at_most": _hours(stage.seconds_at_most),
        "usd": stage.usd,
        "usd_at_most": stage.usd_at_most,
    }


def _tokens(name: str, tokens: "Tokens") -> dict[str, int]:
    return {name: tokens.expected, f"{name}_at_most": tokens.most}


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 3600


def _total(plan: "PipelinePlan") -> dict[str, Any]:
    """Sums over the stages still to run; memory is the hungriest's, disk holds checkpoints too."""
    from spa.planning.figures import total

    rows = [_row(stage) for stage in plan.to_run]
    sums = {
        key: total(row[key] for row in rows)
        for key in _row(plan.stages[0])
        if key not in ("stage", "to_run", "memory", "disk")
    }
    return {"stages": len(rows), **sums, "memory": plan.memory, "disk": plan.disk}


def as_table(plan: "PipelinePlan", rented: "Mapping[int, PipelinePlan]") -> list[str]:
    """The plan for people, one line a stage still to run; `rented` as in `as_object`."""
    if not plan.to_run:
        return ["plan: nothing to run, everything is up to date"]
    heads = ("stage", "steps", "answers", "tokens", "at most", "hours", "memory", "disk", "calls")
    rows = [(row["stage"], *_cells(row)) for row in map(_row, plan.to_run)]
    rows.append(("all", *_cells(_total(plan))))
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [
        "  ".join(
            c.rjust(w) if i else c.ljust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in (heads, *rows)
    ]
    sums = _total(plan)
    if sums["calls"]:
        usd, most = sums["usd"], sums["usd_at_most"]
        cost = "unknown" if usd is None else f"{usd:.2f} USD, at most {most:.2f}"
        lines.append(f"judge: {sums['calls']} calls, {sums['call_tokens']} tokens, {cost}")
    if sums["hours_at_most"] is not None:
        lines.append(f"hours: {sums['hours']:.2f}, at most {sums['hours_at_most']:.2f}")
    if rented:
        hours = {count: _total(own)["hours"] for count, own in rented.items()}
        said = (
            f"{'unknown' if h is None else f'{h:.2f}'} on {n} x {RENTED}" for n, h in hours.items()
        )
        lines.append(
            f"hours: unknown here; by arithmetic {', '.join(said)} (details: --gpu NAME --gpus N)"
        )
    return lines + [f"note: {note}" for note in plan.notes]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["steps"]),
        str(row["answers"]),
        str(row["tokens"]),
        str(row["tokens_at_most"]),
        "unknown" if row["hours"] is None else f"{row['hours']:.2f}",
        _size(row["memory"]),
        _size(row["disk"]),
        str(row["calls"]),
    )


def _size(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e9:.2f} GB"
