"""The user's data: can every row be read, and is there enough for the pools?"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from spa.doctor.finding import SHOWN, Finding, fault, faults_or_ok, note, ok
from spa.errors import InputError
from spa.importing.files import refuse_links, scan_rows
from spa.importing.instructions import Instruction, read_instructions
from spa.importing.pairs import pair_of, triple
from spa.importing.prompts import prompt_of
from spa.importing.row import Row, RowError
from spa.overlaps import met_again
from spa.params import Params, Split
from spa.raw_data import RawData, draw_pools
from spa.splits import Pools

T = TypeVar("T")


def check_data(split: Split, root: Path) -> tuple[RawData | None, list[Finding]]:
    """Read all sources; None where one is elsewhere or has a fault."""
    findings: list[Finding] = []
    pairs = _scan("source", split, root, lambda row: pair_of(row, split.system), findings)
    prompts = _scan("prompts", split, root, lambda row: prompt_of(row, split.system), findings)
    asked = _instructions(split, root, findings)
    if any(finding.state != "ok" for finding in findings):
        return None, findings
    unique = {triple(pair): pair for pair in pairs}
    instructions = asked if split.instructions else None
    return RawData(list(unique.values()), prompts, instructions), findings


def _scan(
    key: str, split: Split, root: Path, read: Callable[[Row], T], findings: list[Finding]
) -> list[T]:
    """All rows of a source that can be read; the faults of the others go to `findings`."""
    source = getattr(split, key)
    if not source or _away(key, source, root, findings):
        return []
    rows: list[T] = []
    faults: list[str] = []
    try:
        refuse_links(source, root)
        for item in scan_rows(source, root):
            try:
                if isinstance(item, RowError):
                    raise item
                rows.append(read(item))
            except RowError as error:
                faults += map(str, error.faults)
    except InputError as error:
        faults.append(f"split.{key}: {error}")
    if not rows and not faults:
        faults = [f"{source}: found no rows; wanted some; correct split.{key}"]
    shown = faults[:SHOWN]
    if len(faults) > SHOWN:
        more = "`spa validate` lists all" if key == "source" else "fix these first"
        shown.append(f"{source}: {len(faults) - SHOWN} more faults; {more}")
    findings += faults_or_ok("data", shown, f"{source}: {len(rows)} rows")
    return rows


def _instructions(split: Split, root: Path, findings: list[Finding]) -> list[Instruction]:
    source = split.instructions
    if not source or _away("instructions", source, root, findings):
        return []
    try:
        refuse_links(source, root)
        given = read_instructions(source, root, system=split.system)
    except InputError as error:
        findings.append(fault("data", f"split.instructions: {error}"))
        return []
    findings.append(ok("data", f"{source}: {len(given)} rows"))
    return given


def _away(key: str, source: str, root: Path, findings: list[Finding]) -> bool:
    """Whether a source is on the Hub, from where nothing is fetched only to look at it."""
    away = "@" in source and not (root / source).exists()
    if away:
        findings.append(note("data", f"split.{key}: {source} is on the Hub and was not read"))
    return away


def check_pools(params: Params, data: RawData) -> tuple[Pools | None, list[Finding]]:
    """Draw all pools, as `split` would."""
    try:
        pools = draw_pools(params, data)
    except InputError as error:
        return None, [fault("pools", error)]
    again = [
        fault("pools", again) if again.action == "stop" else note("pools", str(again))
        for again in met_again(pools, params)
        if again.action != "off"
    ]
    asked = sum(map(len, pools.rounds.values()))
    text = (
        f"{len(pools.seed)} seed pairs, {len(pools.gold)} gold pairs, {len(pools.test)} test "
        f"and {len(pools.development)} development prompts, {asked} prompts for rounds"
    )
    return pools, [*again, ok("pools", text)]
