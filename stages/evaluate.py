"""Stages `baseline`, `evaluate_seed` and `evaluate@N`: how good is a policy?"""

from typing import Annotated

import typer

from stages._context import stage_context

EvaluateRound = Annotated[
    int | None, typer.Option("--round", min=0, help="Round whose policy is evaluated.")
]
BaseOption = Annotated[bool, typer.Option("--base", help="Evaluate the base model itself.")]


def main(round: EvaluateRound = None, base: BaseOption = False) -> None:
    """Answer the held-out prompts and compare with the base's answers.

    Says win rate (ties one half, 95 % bootstrap interval), accuracy on held-out gold pairs,
    KL to the base, length and the share of answers that finished.
    """
    if base == (round is not None):
        raise typer.BadParameter("say either --round N or --base")
    from spa.evaluation import outputs_json
    from spa.manifest import write_manifest
    from spa.tracking.stages import child_name, track
    from stages._evaluating import (
        describe,
        drifts,
        numbers,
        read_gold,
        sample_policy,
        write_evaluation,
    )

    name = "base" if round is None else str(round)
    stage = {"base": "baseline", "0": "evaluate_seed"}.get(name, "evaluate")
    with stage_context(round, stage=stage, name=name) as here:
        layout = here.layout
        with track(layout, stage, name, here.params.evaluate.model_dump()) as run:
            folder = layout.policy(name)
            responses = sample_policy(here, folder)  # one model in memory at a time
            gold = read_gold(here, folder)
            kl = None if base else drifts(here, [responses["test"]])[0]
            outputs = outputs_json(responses, f"round-{name}" if round is not None else "base")
            metrics = write_evaluation(here, name, outputs, gold, kl=kl)
            run.metrics(numbers(metrics))
        write_manifest(layout, child_name(stage, name))
        print(
            describe(f"evaluate {name}", layout.evaluation(name).relative_to(layout.root), metrics)
        )
