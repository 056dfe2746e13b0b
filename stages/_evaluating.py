"""What the stages that evaluate a policy share: sample, score, annotate, write."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._context import Context

if TYPE_CHECKING:
    from spa.generation.choosing import Sampler
    from spa.heldout import GoldReading
    from spa.metrics import Interval
    from spa.records import Response


def sample_policy(here: Context, folder: Path) -> "dict[str, list[Response]]":
    """Answers of the policy in a folder to the held-out prompts, of each pool."""
    from spa.generation.choosing import open_sampler
    from spa.models import model_hash

    with open_sampler(folder, here.params.evaluate, here.compute, here.chunks) as sampler:
        return sample_held_out(here, sampler, model_hash(folder))


def sample_held_out(
    here: Context, sampler: "Sampler", model: str, pools: tuple[str, ...] = ("development", "test")
) -> "dict[str, list[Response]]":
    """Answer the held-out prompts; every policy draws with the same random numbers."""
    from spa.generation.responses import sample_responses
    from spa.records import Prompt
    from spa.tables import read_table

    prompts = {pool: read_table(here.layout.pool(pool), Prompt) for pool in pools}
    responses = sample_responses(
        sampler.engine,
        sampler.encoder,
        [prompt for own in prompts.values() for prompt in own],
        samples=1,
        seed=here.params.seed,
        names=("evaluate",),
        model=model,
    )
    answers = iter(responses)
    return {pool: list(islice(answers, len(own))) for pool, own in prompts.items()}


def read_gold(here: Context, folder: Path) -> "GoldReading":
    """What the policy in a folder says of the held-out gold pairs' answers, in float32.

    Pairs that a data check drops are left out.
    """
    from spa.contract import left_out
    from spa.heldout import GoldReading, pair_sequences
    from spa.models import load_encoder
    from spa.records import FlaggedSeedPair, Pair
    from spa.scoring import Reader
    from spa.tables import read_table

    out = left_out(read_table(here.layout.flagged("gold"), FlaggedSeedPair))
    gold = [p for p in read_table(here.layout.pool("gold"), Pair) if p.pair_id not in out]
    sequences = pair_sequences(load_encoder(folder), gold)
    logps = Reader(folder, here.compute, here.chunks, "gold pairs").sequences(sequences)
    tokens = [len(sequence.answer) for sequence in sequences]
    return GoldReading(
        [pair.pair_id for pair in gold],
        list(zip(logps[::2], logps[1::2], strict=True)),
        list(zip(tokens[::2], tokens[1::2], strict=True)),
    )


def drifts(here: Context, answers: "Sequence[Sequence[Response]]") -> "list[Interval]":
    """KL to the base of policies, estimated on each one's own answers.

    The base is loaded once and reads them all.
    """
    import math

    from spa.evaluation import kl_estimate
    from spa.scoring import Reader

    base = Reader(here.layout.policy("base"), here.compute, here.chunks, "base reads")
    read = iter(base.responses([response for own in answers for response in own]))
    return [
        kl_estimate(
            [math.fsum(r.token_logprobs) for r in own],
            list(islice(read, len(own))),
            seed=here.params.seed,
        )
        for own in answers
    ]


def write_evaluation(
    here: Context,
    round: str,
    outputs: list[dict[str, Any]],
    gold: "GoldReading",
    *,
    kl: "Interval | None",
    **extra: Any,
) -> dict[str, Any]:
    """Annotate outputs against the base's, write the evaluation's folder, return its figures.

    `kl` is the policy's from the base, None of the base itself.
    The first annotator's rows on test prompts are annotations.json, the others'
    annotations_NAME.json; those on development prompts lie in the folder development.
    """
    from spa.errors import AnnotationError
    from spa.evaluation import beside, summarise
    from spa.files import read_json, replace_folder, write_json
    from spa.heldout import heldout_figures
    from spa.length_guard import length_figures
    from stages._annotating import annotate_by_all, baseline, length_controlled

    layout, seed = here.layout, here.params.seed
    try:
        against = baseline(here, round, outputs)
        annotations, nulls = annotate_by_all(here, against, outputs, null=round == "base")
    except AnnotationError as error:
        kept = layout.cache / "evaluation" / round / "outputs.json"
        write_json(kept, outputs)
        raise AnnotationError(f"{error}; the answers are kept in {layout.show(kept)}") from error
    first = here.params.evaluate.annotators[0]
    metrics = {
        "round": round,
        "against": here.params.evaluate.against,
        "annotator": first,
        **summarise(outputs, annotations[first], seed=seed),
        **length_figures(annotations[first], seed=seed),
        **beside(annotations, seed=seed),
        **length_controlled(here, annotations[first]),
        "kl_to_base": kl.mean if kl else 0.0,
        "kl_to_base_low": kl.low if kl else None,
        "kl_to_base_high": kl.high if kl else None,
        **extra,
    }
    if round == "base":
        metrics |= {
            "null_win_rate": {name: own["win_rate"] for name, own in nulls.items()},
            "null_interval": nulls,
            "heldout_accuracy": None,
        }
    else:
        base_gold = read_json(layout.evaluation("base") / "gold_logps.json")
        metrics |= heldout_figures(gold, base_gold, seed=seed)
    with replace_folder(layout.evaluation(round)) as folder:
        write_json(folder / "outputs.json", outputs)
        write_annotations(folder, annotations, first=first)
        write_json(folder / "metrics.json", metrics)
        if round == "base":
            write_json(folder / "gold_logps.json", gold.logps)
    return metrics


def write_annotations(
    folder: Path, annotations: dict[str, list[dict[str, Any]]], *, first: str
) -> None:
    """Write every annotator's rows: those on test prompts, and beside them development's."""
    from spa.evaluation import POOLS
    from spa.files import write_json

    for name, rows in annotations.items():
        file = "annotations.json" if name == first else f"annotations_{name}.json"
        own = {pool: [row for row in rows if row["dataset"] == pool] for pool in POOLS}
        write_json(folder / file, own["test"])
        write_json(folder / "development" / file, own["development"])


def numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """The figures of an evaluation that MLflow plots."""
    others = {
        f"{name}_win_rate": own["win_rate"]
        for name, own in metrics["annotators"].items()
        if name != metrics["annotator"]
    }
    return {
        f"eval/{key}": float(value)
        for key, value in {**metrics, **others}.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def describe(name: str, folder: Path, metrics: dict[str, Any]) -> str:
    """One line for the terminal."""
    return (
        f"{name}: win rate {metrics['win_rate']:.1%} "
        f"[{metrics['win_rate_low']:.1%}, {metrics['win_rate_high']:.1%}] over the "
        f"{metrics['against']} on {metrics['n']} test prompts, {metrics['finished']:.0%} finished; "
        f"see {folder}"
    )
