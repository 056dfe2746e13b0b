"""Stages `seed` and `train@N`: train the policy of a round."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages._context import Context, stage_context

if TYPE_CHECKING:
    from pathlib import Path

    from spa.checkpoints import Checkpoints
    from spa.encoding import Encoder
    from spa.models import Policy
    from spa.params import Train
    from spa.token_pairs import TokenPair
    from spa.training import Trainer

ROUNDING = 0.05
"""Nats by which float32 on two devices may read a long answer differently."""

TrainRound = Annotated[
    int, typer.Option("--round", min=0, help="Round to train; 0 is the human seed.")
]


def main(round: TrainRound) -> None:
    """Train the policy of a round from the policy of the round before, against it.

    Round 0 is DPO on the human seed, or base.policy in its place. From round 1 on, the loss
    softens the labels of the least certain pairs (train.alpha, train.noise_share,
    rounds.N.train.lambda).
    """
    import torch

    from spa import processes
    from spa.files import replace_folder
    from spa.manifest import write_manifest
    from spa.models import load_policy, model_hash, save_policy
    from spa.records import TrainingRow
    from spa.tables import write_table
    from spa.tracking.rounds import training_curves
    from spa.tracking.stages import child_name, silent, track

    first = processes.is_first()
    with stage_context(round, stage="train" if first else None) as here:
        if round == 0 and here.params.base.policy is not None:
            adopt(here, here.params.base.policy)
            return
        if is_launcher(here, round):
            return
        layout = here.layout
        settings = here.params.train
        source = layout.policy("base" if round == 0 else here.params.round(round).prev)
        policy = load_policy(source, here.compute, dtype=torch.float32)
        check_reference(here, round, policy)
        pairs = token_pairs(here, round, policy.encoder)
        trainer = make_trainer(here, round, policy.model, source, pairs)
        name = "seed" if round == 0 else "train"
        logged = settings.model_dump(by_alias=True)
        with track(layout, name, round, logged) if first else silent() as run:
            run.dataset(layout.pool("seed") if round == 0 else layout.kept(round), "training")
            run.tags({"reference": model_hash(source)})
            log = trainer.train(
                pairs,
                lambda rows: run.metrics(training_curves(rows), step=rows[0].step),
            )
            weights = trainer.weights()
            if not first:
                return
            with replace_folder(layout.policy(round)) as folder:
                save_policy(policy.model, policy.encoder.tokenizer, folder, weights)
            write_table(layout.training_log(round), log, TrainingRow)
            run.tags({"model": model_hash(layout.policy(round))})
        write_manifest(layout, child_name(name, round))
        steps, softened = log[-1].step + 1, sum(row.refined for row in log)
        print(f"train@{round}: {steps} steps on {len(log)} pairs, {softened} labels softened")


def check_reference(here: Context, round: int, policy: "Policy") -> None:
    """Probe the model to train, this round's reference: is it the one that the judge read?

    Raises:
        TrainingError: it says otherwise of some answers than the judge's scores do.
    """
    from spa.errors import TrainingError
    from spa.records import Response, Score
    from spa.scoring import largest_error
    from spa.tables import read_table

    if round == 0:
        return
    responses = read_table(here.layout.responses(round), Response)
    known = {s.response_id: s.policy_logp for s in read_table(here.layout.scores(round), Score)}
    said = [known[response.response_id] for response in responses]
    error = largest_error(policy, responses, said, token_budget=here.compute.score_tokens)
    trusted = here.params.judge.tie_band / 2  # what the judge took over from the sampler
    if error > ROUNDING + trusted:
        place = here.layout.show(here.layout.policy(here.params.round(round).prev))
        raise TrainingError(
            f"train@{round}: {place}: found log-probabilities up to {error:.2g} nats from those in "
            f"the judge's scores; wanted the policy that was judged, as it is this round's "
            f"reference; run `dvc repro judge@{round}`"
        )


def make_trainer(
    here: Context, round: int, model: Any, source: "Path", pairs: "list[TokenPair]"
) -> "Trainer":
    """What trains `model`, read from the folder `source`, as params and compute.yaml say."""
    import torch

    from spa.models import choose_dtype, choose_train_pairs, load_policy
    from spa.training import Trainer

    compute, settings = here.compute, here.params.train
    return Trainer(
        model,
        settings,
        seed=here.params.seed,
        round=round,
        load_reference=lambda: load_policy(source, compute, dtype=torch.float32).model,
        token_budget=compute.score_tokens,
        micro_pairs=choose_train_pairs(compute),
        bfloat16=choose_dtype(compute) is torch.bfloat16,
        recompute=compute.recompute_activations,
        sharded=compute.shard,
        checkpoints=checkpoints(here, round, source, settings, pairs),
    )


def is_launcher(here: Context, round: int) -> bool:
    """Whether this process only starts those that train; they have ended then."""
    from spa.launching import check_count, launch

    if check_count(here.compute):
        return False
    launch("stages._app", ["train", "--round", str(round)], here.compute)
    return True


def checkpoints(
    here: Context, round: int, source: "Path", settings: "Train", pairs: "list[TokenPair]"
) -> "Checkpoints":
    """Where this training's checkpoints lie; they hold at any batch size and process count."""
    from dataclasses import asdict

    from spa.checkpoints import Checkpoints
    from spa.chunks import surroundings
    from spa.models import model_hash
    from spa.records import content_hash

    identity = content_hash(
        surroundings(),
        model_hash(source),
        here.params.seed,
        settings.model_dump(by_alias=True),
        [asdict(pair) for pair in pairs],
    )
    folder = here.layout.unfinished("train", round) / "checkpoints"
    return Checkpoints(folder, identity, seconds=here.compute.checkpoint_seconds)


def adopt(here: Context, source: str) -> None:
    """Round 0 without a human seed: an aligned model takes its place, and nothing is trained."""
    from spa.files import replace_folder
    from spa.manifest import write_manifest
    from spa.models import model_hash
    from spa.records import TrainingRow
    from spa.sources import materialise
    from spa.tables import write_table
    from spa.tracking.stages import track

    layout = here.layout
    with track(layout, "seed", 0, {"policy": source}) as run:
        with replace_folder(layout.policy(0)) as folder:
            materialise(source, folder, root=layout.root)
        write_table(layout.training_log(0), [], TrainingRow)
        run.tags({"model": model_hash(layout.policy(0))})
    write_manifest(layout, "seed")
    print(f"train@0: {source} takes the seed's place; nothing was trained")


def token_pairs(here: Context, round: int, encoder: "Encoder") -> "list[TokenPair]":
    """A round's training pairs as tokens: sampled answers keep the very tokens sampled.

    The judge has read them with the policy that training starts from, so that their
    reference log-probabilities are known: in float32, where engines agree to rounding.
    """
    import torch

    from spa.contract import left_out
    from spa.encoding import TokenSequence
    from spa.models import choose_dtype
    from spa.records import FlaggedSeedPair, JudgedPair, Pair, Response, Score
    from spa.tables import read_table
    from spa.token_pairs import TokenPair

    if round == 0:
        out = left_out(read_table(here.layout.flagged(0), FlaggedSeedPair))
        return [
            TokenPair(
                pair.pair_id,
                encoder.sequence(pair.prompt, pair.chosen, pair.chosen_finish_reason),
                encoder.sequence(pair.prompt, pair.rejected, pair.rejected_finish_reason),
            )
            for pair in read_table(here.layout.pool("seed"), Pair)
            if pair.pair_id not in out
        ]
    responses = read_table(here.layout.responses(round), Response)
    tokens = {r.response_id: list(r.token_ids) for r in responses}
    logps = {s.response_id: s.policy_logp for s in read_table(here.layout.scores(round), Score)}
    reuse = choose_dtype(here.compute) is torch.float32
    return [
        TokenPair(
            pair.pair_id,
            TokenSequence(encoder.prompt(pair.prompt), tokens[pair.chosen_id]),
            TokenSequence(encoder.prompt(pair.prompt), tokens[pair.rejected_id]),
            (logps[pair.chosen_id], logps[pair.rejected_id]) if reuse else None,
        )
        for pair in read_table(here.layout.kept(round), JudgedPair)
    ]
