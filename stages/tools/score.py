"""Tool `score`: the implicit reward of any answers under any two models."""

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[
    Path,
    typer.Argument(
        help="Rows with `prompt` (text or messages) and `response`: JSON Lines, JSON, CSV or "
        "Parquet."
    ),
]
Policy = Annotated[Path, typer.Option(help="Folder of the model to compute the reward of.")]
Reference = Annotated[Path, typer.Option(help="Folder of the model to compare it with.")]
Out = Annotated[
    Path, typer.Option(help="Parquet file to write; an existing one is replaced.", dir_okay=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main(file: File, policy: Policy, reference: Reference, out: Out, as_json: Json = False) -> None:
    """Score answers under two models: log pi(y|x) - log pi_ref(y|x), in nats.

    Writes the rows of FILE in order, with policy_logp and reference_logp (sums over the tokens of
    the answer and its end-of-turn token), tokens, and reward, the difference of the two. A
    `finish_reason` column is respected: `length` means cut, with no end-of-turn token. Float32,
    one model in memory at a time; nothing is truncated. Needs no pipeline. If some prompts are
    text and others messages, all are written as messages.
    """
    import json

    from spa.answers import score_answers
    from spa.importing.answers import read_answers
    from spa.layout import Layout
    from spa.param_files import load_compute
    from spa.user_rows import check_place, write_rows
    from stages._terminal import plain

    compute = load_compute(Layout.near().compute)
    answers = read_answers(str(file), Path.cwd())
    check_place(out, file)
    scores = score_answers(answers, policy, reference, compute)
    mixed = len({type(a.row.fields["prompt"]) for a in answers}) > 1
    rows = [
        {**a.row.fields, **({"prompt": a.prompt} if mixed else {}), **vars(s)}
        for a, s in zip(answers, scores, strict=True)
    ]
    dropped = write_rows(out, rows)
    mean = sum(s.reward for s in scores) / len(scores)
    if as_json:
        found = {"rows": len(rows), "mean_reward": mean, "dropped_columns": dropped}
        print(json.dumps({**found, "out": str(out)}))
        return
    if dropped:
        print(f"score: left out columns that Parquet cannot hold: {plain(', '.join(dropped))}")
    print(f"score: {len(rows)} answers, mean reward {mean:+.3f} nats; see {out}")
