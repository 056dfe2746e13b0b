"""Tool `flagged`: the rows that a round's data checks flagged, and why."""

from typing import Annotated, Literal

import typer

from stages._context import stage_context
from stages._terminal import plain

FlaggedRound = Annotated[
    int | None,
    typer.Option("--round", min=0, help="Round whose rows are shown; 0 is the seed."),
]
Gold = Annotated[bool, typer.Option("--gold", help="Show the rows of the held-out gold pairs.")]
Reason = Annotated[
    str | None,
    typer.Option(
        help="Only rows with this check (cut) or reason (cut:chosen), or behind this gate."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main(
    round: FlaggedRound = None, gold: Gold = False, reason: Reason = None, as_json: Json = False
) -> None:
    """Show the pairs that data checks flagged, why, and what was done with them.

    `split` flags pairs of seed and gold, `filter` those of rounds. If the reason is a gate of
    filter.gates: the kept pairs whose chosen answer is longer (chosen_longer), the kept pairs by
    margin, smallest first (margin_std), or the answers given more than once (distinct_answers,
    distinct_2).
    """
    import json
    from dataclasses import asdict

    from spa.flagged import rows_behind

    if gold == (round is not None):
        raise typer.BadParameter("give either --round N or --gold")
    shown: int | Literal["gold"] = "gold" if round is None else round
    with stage_context(round or None, tool=True) as here:
        rows = rows_behind(here.layout, shown, reason)
    if as_json:
        print(json.dumps({"round": shown, "reason": reason, "rows": [asdict(row) for row in rows]}))
        return
    for row in rows:
        margin = "" if row.margin is None else f", margin {row.margin:.4g} nats"
        print(f"{row.id}  {row.action}: {', '.join(row.reasons)}{margin}")
        for name, text in {"prompt": row.prompt[-1]["content"], **row.answers}.items():
            print(f"  {name:<8}  {plain(text)}")
    print(f"{len(rows)} rows")
