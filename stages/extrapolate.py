"""Stage `rival`: the seed policy amplified in weight space, SPA's cheapest explanation."""

from typing import TYPE_CHECKING, Any

from stages._context import Context, stage_context
from stages._evaluating import (
    describe,
    drifts,
    numbers,
    read_gold,
    sample_held_out,
    sample_policy,
    write_evaluation,
)

if TYPE_CHECKING:
    from spa.records import Response


def main() -> None:
    """Amplify what the seed taught, without training: base + gamma * (seed - base).

    Gamma is chosen by win rate on development prompts, the smaller one at a tie; the chosen
    policy is written to data/round-rival/policy and evaluated on the test prompts like every
    round. If the rounds do not beat it, they were not worth their cost; a round with
    `prev: rival` starts from it. Source: ExPO, arXiv:2404.16792.
    """
    from spa.evaluation import outputs_json
    from spa.manifest import write_manifest
    from spa.models import model_hash
    from spa.tracking.stages import track

    with stage_context(stage="rival") as here:
        layout = here.layout
        with track(layout, "rival", "rival", here.params.rival.model_dump()) as run:
            tried = try_gammas(here)
            best = max(tried, key=lambda one: (one["development_win_rate"], -one["gamma"]))
            gamma = best["gamma"]
            save_amplified(here, gamma)
            folder = layout.policy("rival")
            responses = sample_policy(here, folder)  # one model in memory at a time
            gold = read_gold(here, folder)
            (kl,) = drifts(here, [responses["test"]])
            outputs = outputs_json(responses, "rival")
            metrics = write_evaluation(
                here, "rival", outputs, gold, kl=kl, gamma=gamma, tried=tried
            )
            run.metrics(numbers(metrics))
            run.tags({"model": model_hash(folder)})
        write_manifest(layout, "rival")
        where = layout.evaluation("rival").relative_to(layout.root)
        print(describe(f"rival (gamma {gamma:g})", where, metrics))


def save_amplified(here: Context, gamma: float) -> None:
    """Write the policy amplified by gamma, in float32."""
    from spa.files import replace_folder
    from spa.models import load_amplified, save_policy

    layout = here.layout
    compute = here.compute.model_copy(update={"dtype": "float32"})
    policy = load_amplified(layout.policy("base"), layout.policy("0"), gamma, compute)
    with replace_folder(layout.policy("rival")) as folder:
        save_policy(policy.model, policy.encoder.tokenizer, folder)


def try_gammas(here: Context) -> list[dict[str, Any]]:
    """Win rate over the base on development prompts at every gamma, and how far it goes from it."""
    from spa.evaluation import outputs_json

    gammas = sorted(here.params.rival.gammas)
    answers = [development_answers(here, gamma) for gamma in gammas]  # one model at a time
    rates = [development_win_rate(here, outputs_json({"development": a}, "rival")) for a in answers]
    return [
        {"gamma": gamma, "development_win_rate": rate, "kl_to_base": kl.mean}
        for gamma, rate, kl in zip(gammas, rates, drifts(here, answers), strict=True)
    ]


def development_answers(here: Context, gamma: float) -> "list[Response]":
    """Answers to development prompts at one gamma, sampled with transformers."""
    from spa.generation.choosing import sampler_of
    from spa.models import load_amplified

    policy = load_amplified(
        here.layout.policy("base"), here.layout.policy("0"), gamma, here.compute, chunks=here.chunks
    )
    sampler = sampler_of(policy, here.params.evaluate, here.compute)
    return sample_held_out(here, sampler, "rival", ("development",))["development"]


def development_win_rate(here: Context, outputs: list[dict[str, Any]]) -> float:
    """Win rate over the base by the annotator that chooses; ties one half."""
    from spa.annotation.loading import load_annotator
    from spa.evaluation import annotate
    from spa.files import read_json

    base = read_json(here.layout.evaluation("base") / "outputs.json")
    development = [row for row in base if row["dataset"] == "development"]
    name = here.params.evaluate.asked
    annotator = load_annotator(name, here.params, here.compute, layout=here.layout)
    rows = annotate(development, outputs, annotator, name=name)
    return float(sum(row["preference"] - 1 for row in rows)) / len(rows)
