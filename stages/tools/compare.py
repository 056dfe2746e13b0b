"""Tool `compare`: is one policy better than another, on the same prompts?"""

from typing import Annotated

import typer

Policy = Annotated[
    str, typer.Argument(help="A round (0, 2, rival), or REV:ROUND for another git revision.")
]
By = Annotated[
    str | None,
    typer.Option("--annotator", help="Which of several annotators to use; by default the first."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main(a: Policy, b: Policy, annotator: By = None, as_json: Json = False) -> None:
    """Compare the win rates of two policies, paired by test prompt.

    A and B are rounds of this run (`spa compare 0 2`) or of another branch, commit or DVC
    experiment (`spa compare main:2 2`). The interval is a 95 % bootstrap over the prompts both
    answered: much narrower than the two win rates' own, as easy prompts are easy for both.
    """
    import json
    from dataclasses import asdict

    from spa.comparison import compare_policies, read_policy_annotations
    from stages._context import stage_context

    with stage_context(tool=True) as here:
        rows = [read_policy_annotations(here.layout, name, annotator) for name in (a, b)]
        found = compare_policies(*rows, seed=here.params.seed)
    if as_json:
        print(json.dumps({"a": a, "b": b, **asdict(found)}))
        return
    apart = found.low > 0 or found.high < 0
    print(
        f"{a}: {found.first:.1%}, {b}: {found.second:.1%} win rate on {found.n} test "
        f"prompts\n{b} - {a}: {found.difference:+.1%} [{found.low:+.1%}, {found.high:+.1%}]: "
        f"{'a clear difference' if apart else 'no clear difference'}"
    )
    if found.unpaired:
        print(f"{found.unpaired} more have a preference for only one of the two and do not count")
    if found.other_baseline:
        print(
            f"on {found.other_baseline} of them the baseline's answers differ between the runs, so "
            "part of the difference comes from the baseline"
        )
