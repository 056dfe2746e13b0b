"""What the stages that evaluate a policy share: sample, score, annotate, write."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._context import Context

if TYPE_CHECKING:
    from spa.models import Policy
    from spa.records import Response


def sample_held_out(
    here: Context, policy: "Policy", model: str, pools: tuple[str, ...] = ("development", "test")
) -> "dict[str, list[Response]]":
    """Answer the held-out prompts; every policy draws with the same random numbers."""
    from spa.files import read_table
    from spa.generation.responses import sample_responses
    from spa.generation.transformers_engine import TransformersEngine
    from spa.models import choose_generate_batch
    from spa.records import Prompt

    settings = here.params.evaluate
    engine = TransformersEngine(
        policy,
        temperature=settings.temperature,
        max_new_tokens=settings.max_new_tokens,
        batch=choose_generate_batch(here.compute),
    )
    prompts = {pool: read_table(here.layout.pool(pool), Prompt) for pool in pools}
    responses = sample_responses(
        engine,
        policy.encoder,
        [prompt for own in prompts.values() for prompt in own],
        samples=1,
        seed=here.params.seed,
        names=("evaluate",),
        model=model,
    )
    answers = iter(responses)
    return {pool: list(islice(answers, len(own))) for pool, own in prompts.items()}


def gold_logps(here: Context, policy: "Policy") -> list[tuple[float, float]]:
    """Log-probabilities of the held-out gold pairs' answers under a policy."""
    from spa.evaluation import pair_logps
    from spa.files import read_table
    from spa.records import Pair

    gold = read_table(here.layout.pool("gold"), Pair)
    return pair_logps(policy, gold, token_budget=here.compute.score_tokens)


def drift(here: Context, responses: "list[Response]") -> float:
    """KL to the base, estimated on a policy's own answers; loads the base to read them."""
    import math

    from spa.evaluation import kl_estimate
    from spa.scoring import load_reader, response_logps

    base = load_reader(here.layout.policy("base"), here.compute)
    read = response_logps(
        base, responses, token_budget=here.compute.score_tokens, progress="base reads"
    )
    return kl_estimate([math.fsum(r.token_logprobs) for r in responses], read)


def write_evaluation(
    here: Context,
    round: str,
    outputs: list[dict[str, Any]],
    gold: list[tuple[float, float]] | None,
    **extra: Any,
) -> dict[str, Any]:
    """Annotate outputs against the base's, write the evaluation's folder, return its figures."""
    from spa.annotation.rubric_annotator import load_rubric
    from spa.evaluation import annotate, heldout_accuracy, summarise
    from spa.files import read_json, replace_folder, write_json

    layout = here.layout
    annotator = load_rubric(here.params.rubric, here.layout.root)
    base = outputs if round == "base" else read_json(layout.evaluation("base") / "outputs.json")
    annotations = annotate(base, outputs, annotator)
    metrics = {"round": round, **summarise(outputs, annotations, seed=here.params.seed), **extra}
    metrics["heldout_accuracy"] = None
    if gold is not None and round != "base":
        base_gold = [tuple(row) for row in read_json(layout.evaluation("base") / "gold_logps.json")]
        metrics["heldout_accuracy"] = heldout_accuracy(gold, base_gold)
    with replace_folder(layout.evaluation(round)) as folder:
        write_json(folder / "outputs.json", outputs)
        write_json(folder / "annotations.json", annotations)
        write_json(folder / "metrics.json", metrics)
        if round == "base":
            write_json(folder / "gold_logps.json", gold)
    return metrics


def numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """The figures of an evaluation that MLflow plots."""
    return {
        f"eval/{key}": float(value)
        for key, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def describe(name: str, folder: Path, metrics: dict[str, Any]) -> str:
    """One line for the terminal."""
    return (
        f"{name}: win rate {metrics['win_rate']:.1%} "
        f"[{metrics['win_rate_low']:.1%}, {metrics['win_rate_high']:.1%}] over the base on "
        f"{metrics['n']} test prompts, {metrics['finished']:.0%} finished; see {folder}"
    )
