"""What trained, against what may: no held-out prompt, no gold label, every step as planned."""

from collections.abc import Mapping

from spa.audit.findings import Findings
from spa.audit.pools import Rows, check_ids
from spa.layout import Layout
from spa.params import Params
from spa.records import FlaggedSeedPair
from spa.schedule import make_batches, rate_factor


def audit_apart(rows: Rows, pools: Mapping[str, Rows], found: Findings) -> None:
    """No held-out prompt and no gold label, either way round, is among the pairs that train."""
    held_out = {
        prompt: pools[name].name
        for name in ("test", "development", "gold")
        for prompt in pools[name]["prompt_id"]
    }
    labels = {
        (prompt, frozenset(answers)): pools[name].name
        for name in ("gold", "hidden_gold")
        for prompt, *answers in zip(
            *(pools[name][column] for column in ("prompt_id", "chosen", "rejected")), strict=True
        )
    }
    columns = (rows[name] for name in ("prompt_id", "pair_id", "chosen", "rejected"))
    for row, (prompt, own, *answers) in enumerate(zip(*columns, strict=True), 1):
        if prompt in held_out:
            what = f"trains on prompt {prompt}, which {held_out[prompt]} holds out"
            found.fault(rows.name, what, row)
        if where := labels.get((prompt, frozenset(answers))):
            found.fault(rows.name, f"trains on {own}, a gold pair of {where}", row)


def audit_seed_flags(layout: Layout, seed: Rows, found: Findings) -> list[str]:
    """Every flagged seed pair is a pair of the seed; returns the ids of those trained on."""
    flagged = Rows(layout, layout.flagged(0), FlaggedSeedPair, found)
    check_ids(flagged, found, pairs=True)
    known = set(seed["pair_id"])
    for row, own in enumerate(flagged["pair_id"], 1):
        if own not in known:
            found.fault(flagged.name, f"flags {own}, which is no pair of {seed.name}", row)
    actions = zip(flagged["pair_id"], flagged["action"], strict=True)
    out = {own for own, action in actions if action != "warn"}
    return [own for own in seed["pair_id"] if own not in out]


def audit_log(log: Rows, pairs: list[str], params: Params, round: int, found: Findings) -> None:
    """The training log has the steps that the pairs make: which pair when, at which rate.

    Args:
        log: rows of training_log.parquet.
        pairs: ids of the pairs trained on, in order.
        params: with the round's overrides.
        round: the round, 0 for the seed.
        found: takes the faults.
    """
    settings = params.train
    if not len(log) and (not pairs or params.base.policy is not None):
        return
    if settings.epochs * len(pairs) < settings.batch_size:
        found.fault(log.name, f"there are too few pairs ({len(pairs)}) to have been trained on", 1)
        return
    batches = make_batches(len(pairs), settings, seed=params.seed, round=round)
    wanted = [f"{pairs[i]} at step {step}" for step, own in enumerate(batches) for i in own]
    ids = [f"{p} at step {s}" for p, s in zip(log["pair_id"], log["step"], strict=True)]
    found.order(log.name, ids, wanted, "the pairs trained on")
    columns = ("step", "confidence", "threshold", "flagged", "refined", "learning_rate")
    for row, (step, confidence, threshold, flagged, refined, rate) in enumerate(
        zip(*(log[name] for name in columns), strict=True), 1
    ):
        if flagged != (threshold is not None and confidence < threshold) or refined > flagged:
            found.fault(log.name, f"flagged {flagged}; its confidence says otherwise", row)
        factor = rate_factor(step, len(batches), settings.warmup_share)
        if abs(rate - settings.learning_rate * factor) > 1e-9 * settings.learning_rate + 1e-15:
            found.fault(log.name, f"learning_rate {rate:g}; the schedule has another", row)
