"""Where a pair came from and where it went: from the raw row to the policy that it trained.

From a pair's lineage alone its reward can be computed anew: it holds the messages, the token
ids of both answers, and the folders and hashes of the models that read them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spa.contract import left_out
from spa.errors import ArtefactError, InputError
from spa.files import read_json
from spa.layout import Layout
from spa.manifest import params_run_with, policy_hash, policy_read
from spa.origins import describe_origin, origins_or_reason
from spa.params import Params, Split
from spa.records import (
    SCHEMA_VERSION,
    FlaggedPair,
    FlaggedSeedPair,
    JudgedPair,
    Pair,
    Prompt,
    Record,
    Response,
    Score,
    TrainingRow,
)
from spa.tables import read_note, read_table

LABELLED = ("seed", "gold", "hidden_gold")
_FIGURES = (
    "win_rate",
    "win_rate_low",
    "win_rate_high",
    "annotator",
    "heldout_accuracy",
    "kl_to_base",
)


def pick(prefix: str, ids: Iterable[str], what: str) -> str:
    """The one id that begins with `prefix`.

    Raises:
        InputError: none does, or several do.
    """
    found = sorted({own for own in ids if own.startswith(prefix)})
    if prefix in found:
        return prefix
    if not found or not prefix:
        raise InputError(
            f"lineage: found no {what} {prefix!r}; wanted an id of this pipeline or its beginning; "
            "ids stand in data/pools and data/round-N"
        )
    if len(found) > 1:
        raise InputError(
            f"lineage: found {len(found)} {what}s that begin with {prefix!r} ({found[0]}, "
            f"{found[1]} ...); wanted one; give more of the id"
        )
    return found[0]


def pair_lineage(layout: Layout, params: Params, prefix: str) -> dict[str, Any]:
    """All about one pair, as JSON.

    Args:
        layout: the pipeline.
        params: of the pipeline, for its rounds; what they ran with stands in the manifests.
        prefix: a pair's id or its beginning.

    Raises:
        InputError: no pair or several pairs have it.
        ArtefactError: a file that the pair leads to is missing.
    """
    places: dict[str, list[tuple[str, int, Pair]]] = {}
    for name in LABELLED:
        for row, pair in enumerate(rows_of(layout.pool(name), Pair), 1):
            places.setdefault(pair.pair_id, []).append((name, row, pair))
    for name in params.rounds:
        for row, pair in enumerate(rows_of(layout.pairs(name), JudgedPair), 1):
            places.setdefault(pair.pair_id, []).append((name, row, pair))
    own = pick(prefix, places, "pair")
    name, row, pair = places[own][0]
    found: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "pair_id": own}
    found |= _origin(layout, name, row, pair)
    if isinstance(pair, JudgedPair):
        found |= _judged(layout, name, pair)
    else:
        found |= {"chosen": _given(pair, "chosen"), "rejected": _given(pair, "rejected")}
        found["label_flipped"] = own in turned_labels(layout)
        if name != "hidden_gold":
            flagged = layout.flagged("gold" if name == "gold" else 0)
            found["filter"] = _verdict(rows_of(flagged, FlaggedSeedPair), own)
    if name in ("gold", "hidden_gold"):
        return found
    return found | _trained(layout, "0" if name == "seed" else name, own)


def rows_of(file: Any, kind: type[Record]) -> list[Any]:
    """Rows of a file, none where its stage has not run."""
    return read_table(file, kind) if file.is_file() else []


def turned_labels(layout: Layout) -> list[str]:
    """Ids of the seed pairs that `split.flip_seed_labels` turned round."""
    return list(read_json(layout.flipped_seed)) if layout.flipped_seed.is_file() else []


def split_run_with(layout: Layout) -> Split:
    """The section `split` that the pools were drawn with."""
    return Split.model_validate(params_run_with(layout, "split", "split"))


def _origin(layout: Layout, name: str, row: int, pair: Pair) -> dict[str, Any]:
    origins, reason = origins_or_reason(layout, split_run_with(layout), [pair.prompt_id])
    labelled = [o for o in origins if pair.pair_id in o.pair_ids]
    pool = layout.pool(name)
    ids = [own.prompt_id for own in rows_of(pool, Pair if name in LABELLED else Prompt)]
    return {
        "origin": {"seed": "seed", "gold": "held-out gold", "hidden_gold": "hidden gold"}.get(
            name, "self-labelled"
        ),
        "round": "0" if name == "seed" else name if name.isdigit() else None,
        "prompt": {
            "prompt_id": pair.prompt_id,
            "messages": pair.prompt,
            "pool": {
                "file": layout.show(pool),
                "row": ids.index(pair.prompt_id) + 1 if pair.prompt_id in ids else None,
            },
            "source": [describe_origin(layout, o) for o in labelled or origins],
            "source_unread": reason,
        },
    }


def _given(pair: Pair, side: str) -> dict[str, Any]:
    return {"text": getattr(pair, side), "finish_reason": getattr(pair, f"{side}_finish_reason")}


def _judged(layout: Layout, name: str, pair: JudgedPair) -> dict[str, Any]:
    settings = params_run_with(layout, f"judge@{name}", "judge")
    method, against = settings["method"], settings["reference"]
    judge = policy_read(layout, f"judge@{name}")
    penalty = read_note(layout.scores(name), "length_penalty")  # none by an older spa
    responses = {r.response_id: r for r in rows_of(layout.responses(name), Response)}
    scores = {s.response_id: s for s in rows_of(layout.scores(name), Score)}
    answers = {
        side: _answer(side, getattr(pair, f"{side}_id"), responses, scores, layout)
        for side in ("chosen", "rejected")
    }
    reference = {"base": "base", "previous": _previous(layout, judge)}.get(against)
    return {
        "generation": {
            **params_run_with(layout, f"generate@{name}", "generate"),
            "sampler": policy(layout, policy_read(layout, f"generate@{name}")),
        },
        **answers,
        "judge": {
            **settings,
            "length_penalty": settings["length_penalty"] if penalty is None else penalty,
            "policy": policy(layout, judge),
            "base": policy(layout, "base"),
            "reference_policy": None if reference is None else policy(layout, reference),
            "beta": params_run_with(layout, f"judge@{name}", "train")["beta"],
            "reward": "policy_logp - base_logp, less length_penalty per character of the text"
            if (method, against) == ("implicit", "base")
            else f"by method {method}, reference {against}",
        },
        "margin": pair.margin,
        "probability": pair.probability,
        "label_flipped": pair.margin < 0,
        "filter": _filter(layout, name, pair.pair_id),
    }


def _previous(layout: Layout, judge: str) -> str:
    return "base" if judge in ("0", "rival") else policy_read(layout, f"train@{judge}")


def _answer(
    side: str,
    own: str,
    responses: Mapping[str, Response],
    scores: Mapping[str, Score],
    layout: Layout,
) -> dict[str, Any]:
    if own not in responses or own not in scores:
        raise ArtefactError(
            f"lineage: the {side} answer {own} has no row among responses and scores; wanted both; "
            "`spa audit` says what was changed"
        )
    answer = responses[own].row()
    for key in ("prompt", "prompt_id", "token_logprobs"):
        del answer[key]
    score = scores[own]
    return answer | {
        "policy_logp": score.policy_logp,
        "base_logp": score.base_logp,
        "tokens": score.tokens,
        "reward": score.reward,
    }


def _filter(layout: Layout, name: str, own: str) -> dict[str, Any] | None:
    if not layout.kept(name).is_file():
        return None
    kept = own in {pair.pair_id for pair in rows_of(layout.kept(name), JudgedPair)}
    return _verdict(rows_of(layout.flagged(name), FlaggedPair), own) | {"kept": kept}


def _verdict(flagged: Sequence[FlaggedPair | FlaggedSeedPair], own: str) -> dict[str, Any]:
    """What the data checks said of a pair."""
    flag = next((pair for pair in flagged if pair.pair_id == own), None)
    return {
        "kept": own not in left_out(flagged),
        "action": flag.action if flag else None,
        "reasons": flag.reasons if flag else [],
    }


def _trained(layout: Layout, name: str, own: str) -> dict[str, Any]:
    steps = [r.row() for r in rows_of(layout.training_log(name), TrainingRow) if r.pair_id == own]
    prev = "base" if name == "0" or not steps else policy_read(layout, f"train@{name}")
    return {
        "training": [{k: v for k, v in step.items() if k != "pair_id"} for step in steps],
        "trained": policy(layout, name) if steps else None,
        "training_reference": policy(layout, prev) if steps else None,
        "evaluation": evaluation(layout, name) if steps else None,
    }


def policy(layout: Layout, round: str) -> dict[str, Any]:
    """A policy: its round, folder and hash; hash None where the folder is not there."""
    folder = layout.policy(round)
    return {
        "round": round,
        "folder": layout.show(folder),
        "model": policy_hash(folder) if folder.is_dir() else None,
    }


def evaluation(layout: Layout, round: str) -> dict[str, Any] | None:
    """The figures of a policy's evaluation, if it has run."""
    file = layout.evaluation(round) / "metrics.json"
    if not file.is_file():
        return None
    metrics = read_json(file)
    return {"file": layout.show(file), **{key: metrics.get(key) for key in _FIGURES}}
