"""Flagged pairs against the pairs they are of, and what a check does against what it found."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from spa.audit.findings import Findings
from spa.audit.pools import Rows, check_ids
from spa.contract import Action, Check
from spa.errors import ArtefactError
from spa.files import read_json
from spa.layout import Layout
from spa.records import FlaggedSeedPair, Pair, Record

_STRENGTH: tuple[Action, ...] = ("off", "warn", "drop", "stop")


def audit_given_flags(
    layout: Layout,
    name: str | int,
    pool: Rows,
    checks: Mapping[Any, Check],
    found: Findings,
) -> list[str]:
    """Flagged pairs of the seed (0) or of `gold` are pairs of their pool, as they stand there.

    Returns:
        Ids of the pool's pairs that no check drops.
    """
    flagged = Rows(layout, layout.flagged(name), FlaggedSeedPair, found)
    check_ids(flagged, found, pairs=True)
    known = set(pool["pair_id"])
    for row, own in enumerate(flagged["pair_id"], 1):
        if own not in known:
            found.fault(flagged.name, f"flags {own}, which is no pair of {pool.name}", row)
    check_copies(flagged, pool, Pair, found)
    check_actions(flagged, checks, found)
    actions = zip(flagged["pair_id"], flagged["action"], strict=True)
    out = {own for own, action in actions if action != "warn"}
    return [own for own in pool["pair_id"] if own not in out]


def check_copies(rows: Rows, parent: Rows, kind: type[Record], found: Findings) -> None:
    """Rows are those of their parent that have their id, in every column."""
    known = {own: i for i, own in enumerate(parent["pair_id"])}
    for column in kind.SCHEMA.names:
        theirs = parent[column]
        for row, (own, value) in enumerate(zip(rows["pair_id"], rows[column], strict=True), 1):
            if own in known and not _same(theirs[known[own]], value):
                where = f"{parent.name}, row {known[own] + 1}"
                found.fault(rows.name, f"{column} of {own} differs from {where}", row)


def check_actions(flagged: Rows, checks: Mapping[Any, Check], found: Findings) -> None:
    """Every reason is a check that is on, and the action the strongest of its checks'."""
    columns = (flagged["reasons"], flagged["action"])
    for row, (reasons, action) in enumerate(zip(*columns, strict=True), 1):
        said = [_action(checks, reason) for reason in reasons]
        wrong = [r for r, own in zip(reasons, said, strict=True) if own == "off"]
        if wrong or not reasons:
            what = f"reason {', '.join(wrong) or 'missing'}; filter.checks has no such check on"
            found.fault(flagged.name, what, row)
        elif (wanted := max(said, key=_STRENGTH.index)) != action:
            what = f"action {action}; filter.checks has {wanted} for {', '.join(reasons)}"
            found.fault(flagged.name, what, row)


def check_counts(
    layout: Layout, round: int, flagged: Rows, counted: Mapping[str, int], found: Findings
) -> None:
    """Reasons, and pairs kept or not, are there as often as checks.json counts them."""
    if flagged.name in found.unread:
        return
    file = layout.show(layout.checks(round))
    try:
        told = dict(read_json(layout.checks(round)))
        reasons = dict(told["reasons"])
    except (ArtefactError, KeyError, TypeError, ValueError) as error:
        found.fault(file, f"cannot be read: {error}")
        return
    counts = Counter(reason for own in flagged["reasons"] for reason in own)
    for reason in sorted({*counts, *reasons}):
        if counts[reason] != reasons.get(reason, 0):
            what = f"{counts[reason]} rows with {reason}; checks.json has {reasons.get(reason, 0)}"
            found.fault(flagged.name, what)
    for key, count in counted.items():
        if told.get(key) != count:
            found.fault(file, f"{key} {told.get(key)}; the round has {count}")


def _action(checks: Mapping[Any, Check], reason: str) -> Action:
    name = reason.split(":")[0]
    check = checks.get("empty" if name in ("blank", "wordless") else name)
    return "off" if check is None else check.action


def _same(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other))  # NaN is what it was
