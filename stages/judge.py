"""Stage `judge@N`: score a round's answers and make preference pairs of them."""

from typing import TYPE_CHECKING

from stages._context import Context, RoundOption, stage_context

if TYPE_CHECKING:
    from spa.records import Response


def main(round: RoundOption) -> None:
    """Label a round's answers: by default with the model's own implicit reward.

    The reward is log pi(y|x) - log pi_base(y|x), pi being the policy that answered. The
    base is the reference in every round. The policy's half comes from the sampler, checked
    on some answers; only the base has to read them all.
    """
    from spa.judging import length_penalty, make_pairs, make_scores
    from spa.manifest import write_manifest
    from spa.records import JudgedPair, Response, Score
    from spa.scoring import sampler_logps
    from spa.splits import flip_labels
    from spa.tables import read_table, write_table
    from spa.tracking.stages import track

    with stage_context(round, stage="judge") as here:
        layout, settings, seed = here.layout, here.params.judge, here.params.seed
        responses = read_table(layout.responses(round), Response)
        with track(layout, "judge", round, settings.model_dump()) as run:
            run.dataset(layout.responses(round), context="responses")
            tolerance = settings.tie_band / 2  # a margin is the difference of two rewards
            policy, error = sampler_logps(
                layout.policy(here.params.round(round).prev),
                responses,
                here.compute,
                tolerance=tolerance,
                chunks=here.chunks,
            )
            base = read_by(here, "base", responses)
            rewards = reward(here, round, responses, policy, base)
            penalty = length_penalty(responses, rewards, settings, seed=seed, round=round)
            scores = make_scores(responses, policy, base, rewards, penalty=penalty)
            pairs = make_pairs(responses, scores, settings, beta=here.beta, seed=seed, round=round)
            pairs = flip_labels(pairs, settings.flip_labels, seed=seed, name=f"judge-{round}")
            write_table(layout.scores(round), scores, Score, note={"length_penalty": penalty})
            write_table(layout.pairs(round), pairs, JudgedPair)
            prompts = len({r.prompt_id for r in responses})
            counts = {"pairs": len(pairs), "ties": prompts - len(pairs), "reuse_error": error}
            run.metrics({**counts, "length_penalty": penalty})
        write_manifest(layout, f"judge@{round}")
        held = "hold" if error <= tolerance else "were computed anew: they held only"
        print(
            f"judge@{round}: {len(pairs)} pairs from {prompts} prompts by {settings.method}; "
            f"the sampler's log-probabilities {held} within {error:.1e} nats"
        )
        if settings.length_penalty == "auto":
            print(f"judge@{round}: the length penalty found is {penalty:.3f} nats a character")


def reward(
    here: Context,
    round: int,
    responses: "list[Response]",
    policy_logps: list[float],
    base_logps: list[float],
) -> list[float]:
    """Rewards by the round's method, before any length penalty; loads what the method needs."""
    from spa.annotation.llm import LlmAnnotator
    from spa.annotation.reward_model import RewardModelAnnotator, load_reward_model
    from spa.annotation.rubric_annotator import load_rubric
    from spa.judging import contest_ratings, log_ratio_rewards, ratings
    from spa.models import load_policy

    layout, settings, tokens = here.layout, here.params.judge, here.compute.score_tokens
    match settings.method:
        case "rubric":
            return ratings(responses, load_rubric(here.params.rubric, layout.root))
        case "reward_model":
            folder = layout.root / str(settings.model)
            model = load_reward_model(folder, here.compute)
            return ratings(responses, RewardModelAnnotator(model, token_budget=tokens))
        case "llm":
            policy = load_policy(layout.policy(here.params.round(round).prev), here.compute)
            return contest_ratings(responses, LlmAnnotator(policy, token_budget=tokens))
    return log_ratio_rewards(
        responses,
        policy_logps,
        reference_logps(here, round, responses, base_logps),
        settings,
        seed=here.params.seed,
        round=round,
    )


def reference_logps(
    here: Context, round: int, responses: "list[Response]", base_logps: list[float]
) -> list[float]:
    """Log-probabilities under what the judge compares the policy with (nats)."""
    match here.params.judge.reference:
        case "base":
            return base_logps
        case "none":
            return [0.0] * len(responses)
        case "previous":
            prev = here.params.round(round).prev
            if prev in ("0", "rival"):
                return base_logps
            return read_by(here, here.params.round(int(prev)).prev, responses)


def read_by(here: Context, name: str, responses: "list[Response]") -> list[float]:
    """Log-probabilities of the answers under a policy of the pipeline, which is let go again."""
    from spa.scoring import Reader

    folder = here.layout.policy(name)
    return Reader(folder, here.compute, here.chunks, f"{name} reads").responses(responses)
