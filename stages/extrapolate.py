"""Stage `rival`: the seed policy amplified in weight space, SPA's cheapest explanation."""

from stages._context import Context, stage_context


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
    from stages._evaluating import (
        describe,
        drift,
        gold_logps,
        numbers,
        sample_policy,
        write_evaluation,
    )

    with stage_context(stage="rival") as here:
        layout = here.layout
        with track(layout, "rival", "rival", here.params.rival.model_dump()) as run:
            tried = {g: development_win_rate(here, g) for g in sorted(here.params.rival.gammas)}
            gamma = max(tried, key=lambda g: (tried[g], -g))
            save_amplified(here, gamma)
            folder = layout.policy("rival")
            responses = sample_policy(here, folder)  # one model in memory at a time
            gold = gold_logps(here, folder)
            kl = drift(here, responses["test"])
            outputs = outputs_json(responses, "rival")
            tries = [{"gamma": g, "development_win_rate": rate} for g, rate in tried.items()]
            metrics = write_evaluation(
                here, "rival", outputs, gold, kl_to_base=kl, gamma=gamma, tried=tries
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


def development_win_rate(here: Context, gamma: float) -> float:
    """Win rate over the base on development prompts at one gamma, sampled with transformers."""
    from spa.annotation.loading import load_annotator
    from spa.evaluation import annotate, outputs_json
    from spa.files import read_json
    from spa.generation.choosing import sampler_of
    from spa.models import load_amplified
    from stages._evaluating import sample_held_out

    layout = here.layout
    policy = load_amplified(
        layout.policy("base"), layout.policy("0"), gamma, here.compute, chunks=here.chunks
    )
    sampler = sampler_of(policy, here.params.evaluate, here.compute)
    answers = outputs_json(sample_held_out(here, sampler, "rival", ("development",)), "rival")
    base = read_json(layout.evaluation("base") / "outputs.json")
    development = [row for row in base if row["dataset"] == "development"]
    name = here.params.evaluate.asked
    annotator = load_annotator(name, here.params, here.compute, layout=layout)
    rows = annotate(development, answers, annotator, name=name)
    return float(sum(row["preference"] - 1 for row in rows)) / len(rows)
