"""Stage `generate@N`: sample answers to a round's prompts."""

from stages._context import RoundOption, stage_context


def main(round: RoundOption) -> None:
    """Sample answers to a round's prompts from the policy of the round before.

    Every answer has a seed of its own, so that neither order nor batch size changes it.
    """
    from spa.generation.choosing import open_sampler
    from spa.generation.responses import sample_responses
    from spa.manifest import write_manifest
    from spa.models import model_hash
    from spa.records import Prompt, Response
    from spa.tables import read_table, write_table
    from spa.tracking.stages import track

    with stage_context(round, stage="generate") as here:
        layout, settings = here.layout, here.params.generate
        prompts = read_table(layout.pool(round), Prompt)
        folder = layout.policy(here.params.round(round).prev)
        with track(layout, "generate", round, settings.model_dump()) as run:
            run.dataset(layout.pool(round), context="prompts")
            with open_sampler(folder, settings, here.compute, here.chunks) as sampler:
                responses = sample_responses(
                    sampler.engine,
                    sampler.encoder,
                    prompts,
                    samples=settings.samples,
                    seed=here.params.seed,
                    names=("generate", round),
                    model=model_hash(folder),
                )
                run.tags({"engine": sampler.version})
            write_table(layout.responses(round), responses, Response)
            finished = sum(r.finish_reason == "stop" for r in responses) / len(responses)
            tokens = sum(len(r.token_ids) for r in responses) / len(responses)
            run.metrics({"responses": len(responses), "finished": finished, "mean_tokens": tokens})
        write_manifest(layout, f"generate@{round}")
        print(
            f"generate@{round}: {len(responses)} answers to {len(prompts)} prompts, "
            f"{tokens:.1f} tokens each, {finished:.0%} finished"
        )
