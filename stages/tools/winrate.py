"""Tool `winrate`: raw and length-controlled win rate from any annotations."""

from pathlib import Path
from typing import Annotated

import typer

Annotations = Annotated[
    Path,
    typer.Argument(help="Annotations in AlpacaEval's format: .json or .jsonl, gzipped or not."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--regression-data",
        help="alpaca-eval's df_gamed.csv or a similar file; by default fetched from the Hub.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main(annotations: Annotations, regression_data: Data = None, as_json: Json = False) -> None:
    """Compute win rates as AlpacaEval's leaderboard does, in percent, with its own code.

    The length-controlled win rate is given only for AlpacaEval's 805 instructions against
    gpt4_1106_preview. It is marked approximate if its regression data come from a file or another
    annotator compared the answers: then only paired differences are meaningful. Needs no pipeline.
    """
    import json
    from dataclasses import asdict

    from spa.errors import InputError
    from spa.importing.annotations import read_annotations
    from spa.regression_data import fetch_regression_data, read_regression_data
    from spa.winrate import INSTRUCTIONS, lc_refusal, win_rate

    if annotations.is_dir():
        raise InputError(
            f"{annotations}: is a folder; wanted one model's annotations; name one of its files"
        )
    rows = read_annotations(str(annotations), Path.cwd())
    if lc_refusal(rows):
        data = None
    elif regression_data is None:
        data = fetch_regression_data()
    else:
        data = read_regression_data(regression_data, INSTRUCTIONS)
    found = win_rate(rows, data)
    if as_json:
        print(json.dumps(asdict(found), allow_nan=False))
        return
    error = "unknown" if found.standard_error is None else f"{found.standard_error:.2f}"
    left_out = len(rows) - found.n
    null = f"; {left_out} of {len(rows)} rows have no preference and do not count"
    print(
        f"win rate {found.win_rate:.2f} % (standard error {error}, n = {found.n}); discrete "
        f"{found.discrete_win_rate:.2f} %{null if left_out else ''}"
    )
    if found.lc_win_rate is None:
        print(f"no length-controlled win rate: {found.lc_reason}")
    else:
        note = ", approximate: compare differences only" if found.lc_approximate else ""
        print(f"length-controlled win rate {found.lc_win_rate:.2f} %{note}")
