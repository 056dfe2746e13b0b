"""Everywhere a prompt reached, and what must be redone if it is withdrawn."""

from typing import Any

from spa.contract import left_out
from spa.dag import downstream, read_stages
from spa.errors import SpaError
from spa.files import read_json
from spa.layout import Layout
from spa.lineage import LABELLED, pick, policy, rows_of, split_run_with
from spa.manifest import policy_read
from spa.origins import describe_origin, origins_or_reason
from spa.params import Params
from spa.raw_data import pools_as_split, read_raw_data
from spa.records import (
    SCHEMA_VERSION,
    FlaggedSeedPair,
    JudgedPair,
    Pair,
    Prompt,
    Response,
    TrainingRow,
)


def prompt_lineage(layout: Layout, params: Params, prefix: str) -> dict[str, Any]:
    """All that one prompt reached, as JSON.

    Args:
        layout: the pipeline.
        params: of the pipeline, for its rounds; what they ran with stands in the manifests.
        prefix: a prompt's id or its beginning.

    Raises:
        InputError: no prompt or several prompts have it.
    """
    pools = {
        name: rows_of(layout.pool(name), Pair if name in LABELLED else Prompt)
        for name in (*LABELLED, "development", "test", *params.rounds)
    }
    own = pick(prefix, (row.prompt_id for rows in pools.values() for row in rows), "prompt")
    holding = {
        name: [n for n, row in enumerate(rows, 1) if row.prompt_id == own]
        for name, rows in pools.items()
    }
    holding = {name: rows for name, rows in holding.items() if rows}
    messages = next(row.prompt for rows in pools.values() for row in rows if row.prompt_id == own)
    origins, reason = origins_or_reason(layout, split_run_with(layout), [own])
    rounds = {name: _round(layout, name, own) for name in params.rounds if name in holding}
    seeds, golds = (
        [pair.pair_id for pair in pools[name] if pair.prompt_id == own] for name in ("seed", "gold")
    )
    if seeds:
        rounds = {"0": _seed(layout, seeds), **rounds}
    taught = [name for name, found in rounds.items() if found["trained"]]
    return {
        "schema_version": SCHEMA_VERSION,
        "prompt_id": own,
        "messages": messages,
        "source": [describe_origin(layout, origin) for origin in origins],
        "source_unread": reason,
        "pools": {layout.show(layout.pool(name)): rows for name, rows in holding.items()},
        "rounds": rounds,
        "evaluations": _evaluations(layout, params, own, golds),
        "policies_trained_on_it": [policy(layout, name) for name in taught],
        "policies_built_on_those": [policy(layout, n) for n in _descendants(params, taught)],
        "redo": _redo(layout, params, own, holding),
    }


def _seed(layout: Layout, ids: list[str]) -> dict[str, Any]:
    log = {row.pair_id for row in rows_of(layout.training_log(0), TrainingRow)}
    out = left_out(rows_of(layout.flagged(0), FlaggedSeedPair))
    kept = [own for own in ids if own not in out]
    trained = [own for own in ids if own in log]
    return {"sampler": None, "answers": [], "pairs": ids, "kept": kept, "trained": trained}


def _round(layout: Layout, name: str, own: str) -> dict[str, Any]:
    answers = [r for r in rows_of(layout.responses(name), Response) if r.prompt_id == own]
    pairs = [p.pair_id for p in rows_of(layout.pairs(name), JudgedPair) if p.prompt_id == own]
    kept = [p.pair_id for p in rows_of(layout.kept(name), JudgedPair) if p.prompt_id == own]
    log = {row.pair_id for row in rows_of(layout.training_log(name), TrainingRow)}
    return {
        "sampler": policy(layout, policy_read(layout, f"generate@{name}")) if answers else None,
        "answers": [r.response_id for r in answers],
        "pairs": pairs,
        "kept": kept,
        "trained": [pair_id for pair_id in kept if pair_id in log],
    }


def _evaluations(layout: Layout, params: Params, own: str, golds: list[str]) -> list[str]:
    """Policies whose evaluation answered the prompt, or read its gold pairs."""
    read = set(golds) - left_out(rows_of(layout.flagged("gold"), FlaggedSeedPair))
    found = []
    for name in ("base", "0", *params.rounds, "rival"):
        file = layout.evaluation(name) / "outputs.json"
        if file.is_file() and (read or any(row["prompt_id"] == own for row in read_json(file))):
            found.append(name)
    return found


def _descendants(params: Params, taught: list[str]) -> list[str]:
    """Rounds whose policy started from one that was taught, directly or not."""
    reached = set(taught)
    if "0" in reached:
        reached.add("rival")
    for name, line in params.rounds.items():
        if line.prev in reached:
            reached.add(name)
    return [n for n in ("rival", *params.rounds) if n in reached and n not in taught]


def _redo(
    layout: Layout, params: Params, own: str, holding: dict[str, list[int]]
) -> dict[str, Any]:
    """Pools that change without the prompt, and the stages that follow from them.

    Pools are drawn again without the prompt, as others may move up into its place.
    """
    names = [*LABELLED, "development", "test", *params.rounds]
    try:
        raw = read_raw_data(layout, params.split)
        before, after = (pools_as_split(params, given) for given in (raw, raw.without(own)))
        changed = [n for n in names if _ids(before, n) != _ids(after, n)]
        reason = None
    except SpaError as error:
        changed, reason = names, f"all pools count as changed: {error}"
    files = [layout.show(layout.pool(name)) for name in changed]
    stages = downstream(read_stages(layout), files)
    return {
        "pools": files,
        "stages": ["split", *(s for s in stages if s != "split")],
        "why": reason,
    }


def _ids(pools: Any, name: str) -> list[str]:
    if name in LABELLED:
        return [pair.pair_id for pair in getattr(pools, name)]
    return [row.prompt_id for row in (getattr(pools, name, None) or pools.rounds[name])]
