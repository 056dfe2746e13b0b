"""What the stages of a recorded pipeline leave: real records, made-up answers and weights."""

import math
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from spa.dag import read_stages
from spa.files import read_json, write_json
from spa.judging import make_pairs, make_scores
from spa.layout import Layout
from spa.manifest import policy_hash
from spa.params import Params, Train
from spa.raw_data import draw_pools, read_raw_data
from spa.records import (
    FlaggedPair,
    FlaggedSeedPair,
    JudgedPair,
    Pair,
    Prompt,
    Response,
    Score,
    TrainingRow,
    content_hash,
)
from spa.report import summary
from spa.schedule import make_batches, make_plan, rate_factor
from spa.seeds import derive_seed
from spa.tables import read_table, write_table
from spa.threshold import RollingThreshold

TOKENS = 48
"""Of every answer."""


def policy(layout: Layout, name: str) -> None:
    folder = layout.policy(name)
    folder.mkdir(parents=True)
    weights = np.random.default_rng(derive_seed(0, name)).normal(size=64).astype(np.float32)
    save_file({"weight": weights}, folder / "model.safetensors")
    write_json(folder / "config.json", {"model_type": "made up"})


def split(layout: Layout, params: Params, _: str) -> None:
    pools = draw_pools(params, read_raw_data(layout, params.split))
    for name in ("seed", "gold", "hidden_gold"):
        write_table(layout.pool(name), getattr(pools, name), Pair)
    for name, rows in {
        "development": pools.development,
        "test": pools.test,
        **pools.rounds,
    }.items():
        write_table(layout.pool(name), rows, Prompt)
    earlier: list[Prompt] = []
    for name, questions in pools.rounds.items():
        write_table(layout.earlier(name), earlier, Prompt)
        earlier = [*earlier, *questions]
    for pairs in (0, "gold"):
        write_table(layout.flagged(pairs), [], FlaggedSeedPair)
    write_json(layout.flipped_seed, [])
    write_json(layout.reference_outputs, [])


def generate(layout: Layout, params: Params, name: str) -> None:
    own = params.for_round(int(name))
    model, draw = (
        policy_hash(layout.policy(own.rounds[name].prev)),
        np.random.default_rng(int(name)),
    )
    answers = []
    for prompt in read_table(layout.pool(name), Prompt):
        for sample in range(own.generate.samples):
            seed = derive_seed(params.seed, "generate", int(name), prompt.prompt_id, sample)
            tokens = draw.integers(0, 50_000, TOKENS).tolist()
            logprobs = (-draw.random(TOKENS)).astype(np.float32).tolist()
            answers.append(
                Response(
                    response_id=content_hash(prompt.prompt_id, sample, seed, model, tokens),
                    prompt_id=prompt.prompt_id,
                    prompt=prompt.prompt,
                    sample=sample,
                    text=" ".join(f"word{t % 997}" for t in tokens),
                    token_ids=tokens,
                    finish_reason="length",
                    seed=seed,
                    model=model,
                    logprob=sum(logprobs),
                    token_logprobs=logprobs,
                )
            )
    write_table(layout.responses(name), answers, Response)


def judge(layout: Layout, params: Params, name: str) -> None:
    """All that `spa judge` does beside the models; the base's log-probabilities are made up."""
    own, number = params.for_round(int(name)), int(name)
    answers = read_table(layout.responses(name), Response)
    ours = [math.fsum(answer.token_logprobs) for answer in answers]
    base = (np.array(ours) + np.random.default_rng(number).normal(size=len(ours))).tolist()
    rewards = [p - b for p, b in zip(ours, base, strict=True)]
    scores = make_scores(answers, ours, base, rewards)
    pairs = make_pairs(
        answers, scores, own.judge, beta=own.train.beta, seed=params.seed, round=number
    )
    write_table(layout.scores(name), scores, Score)
    write_table(layout.pairs(name), pairs, JudgedPair)


def filter_pairs(layout: Layout, params: Params, name: str) -> None:
    pairs = read_table(layout.pairs(name), JudgedPair)
    cut = [
        FlaggedPair(**pair.row(), reasons=["repetition:chosen"], action="drop")
        for pair in pairs[::7]
    ]
    dropped = {pair.pair_id for pair in cut}
    kept = [pair for pair in pairs if pair.pair_id not in dropped]
    write_table(layout.kept(name), kept, JudgedPair)
    write_table(layout.flagged(name), cut, FlaggedPair)
    counts = {"pairs": len(pairs), "kept": len(kept), "flagged": len(cut)}
    write_json(layout.checks(name), {**counts, "reasons": {"repetition:chosen": len(cut)}})


def train(layout: Layout, params: Params, name: str) -> None:
    own = params.for_round(int(name)).train
    pairs: list[Any] = (
        read_table(layout.pool("seed"), Pair)
        if name == "0"
        else read_table(layout.kept(name), JudgedPair)
    )
    write_table(layout.training_log(name), _log(pairs, own, params.seed, int(name)), TrainingRow)
    policy(layout, name)


def _log(pairs: list[Any], own: Train, seed: int, round: int) -> list[TrainingRow]:
    """A training's log with made-up margins, of which all else follows."""
    plan, draw = make_plan(len(pairs), own), np.random.default_rng(round)
    window = RollingThreshold(share=own.noise_share, window=own.noise_window)
    log: list[TrainingRow] = []
    for step, batch in enumerate(make_batches(len(pairs), own, seed=seed, round=round)):
        threshold, rows = window.value(), []
        for i, margin in zip(batch, draw.normal(size=len(batch)), strict=True):
            seen = 1.5 * margin if step >= plan.look else None
            confidence = 1 / (1 + math.exp(-(margin if seen is None else seen)))
            flagged = threshold is not None and confidence < threshold
            refined = flagged and step >= plan.gate and own.alpha > 0
            flip = own.alpha * refined
            rows.append(TrainingRow(
                step=step, pair_id=pairs[i].pair_id, margin=margin, extrapolated_margin=seen,
                loss=(1 - flip) * np.logaddexp(0, -margin) + flip * np.logaddexp(0, margin),
                confidence=confidence, threshold=threshold, flagged=flagged, refined=refined,
                learning_rate=own.learning_rate * rate_factor(step, plan.steps, own.warmup_share),
            ))  # fmt: skip
        if step >= max(plan.look, 1):
            window.add(row.confidence for row in rows)
        log += rows
    return log


def evaluate(layout: Layout, params: Params, name: str) -> None:
    outputs = [
        {"dataset": pool, "prompt_id": row.prompt_id, "output": "An answer.", "generator": name}
        for pool in ("development", "test")
        for row in read_table(layout.pool(pool), Prompt)
    ]
    tested = [own for own in outputs if own["dataset"] == "test"]
    rows: list[dict[str, Any]] = [
        {"dataset": "test", "prompt_id": own["prompt_id"], "output_1": "Another answer.",
         "output_2": own["output"], "generator_2": name, "preference": 1 + n % 2}
        for n, own in enumerate(tested)
    ]  # fmt: skip
    wins = [row["preference"] - 1 for row in rows]
    write_json(layout.evaluation(name) / "outputs.json", outputs)
    write_json(layout.evaluation(name) / "annotations.json", rows)
    figures = {"round": name, "annotator": "rubric", "win_rate": sum(wins) / len(wins)}
    figures["development_win_rate"] = 0.5
    write_json(layout.evaluation(name) / "metrics.json", figures)


def rival(layout: Layout, params: Params, name: str) -> None:
    policy(layout, name)
    evaluate(layout, params, name)


def report(layout: Layout, params: Params, _: str) -> None:
    layout.report.mkdir(exist_ok=True)
    for out in read_stages(layout)["report"].outs:
        if out.startswith(f"{layout.show(layout.report)}/"):
            (layout.root / out).write_text(out)
    names = ["base", "0", *params.rounds, "rival"]
    rows = [read_json(layout.evaluation(own) / "metrics.json") for own in names]
    write_json(layout.report / "summary.json", summary(rows))
