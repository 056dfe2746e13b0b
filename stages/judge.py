"""Stage `judge@N`: score a round's answers and make preference pairs of them."""

from stages._context import RoundOption, stage_context


def main(round: RoundOption) -> None:
    """Label a round's answers: by default with the model's own implicit reward.

    The reward is log pi(y|x) - log pi_base(y|x), pi being the policy that answered. The
    base is the reference in every round. The policy's half comes from the sampler, checked
    on some answers; only the base has to read them all.
    """
    from spa.files import read_table, write_table
    from spa.judging import make_pairs, score_responses
    from spa.models import load_policy
    from spa.records import JudgedPair, Response, Score
    from spa.scoring import response_logps, sampler_logps
    from spa.splits import flip_labels
    from spa.tracking import track

    with stage_context(round) as here:
        layout, settings, seed = here.layout, here.params.judge, here.params.seed
        responses = read_table(layout.responses(round), Response)
        with track(layout, "judge", round, settings.model_dump()) as run:
            run.dataset(layout.responses(round), context="responses")
            policy, error = sampler_logps(
                layout.policy(here.params.round(round).prev),
                responses,
                here.compute,
                tolerance=settings.tie_band,
            )
            base = response_logps(
                load_policy(layout.policy("base"), here.compute),
                responses,
                token_budget=here.compute.score_tokens,
                progress="base reads",
            )
            scores = score_responses(responses, policy, base, settings, seed=seed, round=round)
            pairs = make_pairs(
                responses, scores, settings, beta=here.params.train.beta, seed=seed, round=round
            )
            pairs = flip_labels(pairs, settings.flip_labels, seed=seed, name=f"judge-{round}")
            write_table(layout.scores(round), scores, Score)
            write_table(layout.pairs(round), pairs, JudgedPair)
            prompts = len({r.prompt_id for r in responses})
            run.metrics({"pairs": len(pairs), "ties": prompts - len(pairs), "reuse_error": error})
        print(
            f"judge@{round}: {len(pairs)} pairs from {prompts} prompts by {settings.method}; "
            f"the sampler's log-probabilities hold within {error:.1e} nats"
        )
