"""Stage `filter@N`: the data contract of a round's pairs."""

from typing import TYPE_CHECKING

from stages._context import RoundOption, stage_context

if TYPE_CHECKING:
    from spa.checks.gates import Verdict
    from spa.checks.running import Outcome
    from spa.records import JudgedPair


def main(round: RoundOption) -> None:
    """Flag degenerate pairs, drop what params.yaml says, stop where the round breaks its contract.

    Flagged pairs stand in flagged.parquet with their reasons, every expectation and gate with
    its verdict in checks.json, also where the run stops; `spa flagged` shows the rows.
    """
    from dataclasses import asdict

    from spa.checks.gates import enforce, enforce_files, judge_gates
    from spa.checks.running import outcome_of
    from spa.checks.validation import as_json, failing_rows
    from spa.files import write_json
    from spa.manifest import write_manifest
    from spa.records import FlaggedPair, JudgedPair
    from spa.tables import write_table
    from spa.tracking.stages import track
    from stages._checking import read_round

    with stage_context(round) as here:
        layout, settings = here.layout, here.params.filter
        with track(layout, "filter", round, settings.model_dump()) as run:
            records = read_round(here, round)
            run.dataset(layout.pairs(round), context="pairs")
            suites = [*records.others, *records.given, records.pair_suite]
            failing = [failing_rows(suite) for suite in suites]
            outcome = outcome_of(records.pairs, records.pair_suite, failing[-1])
            verdicts = judge_gates(outcome, records.responses, settings)
            figures = figures_of(len(records.pairs), outcome)
            flagged = [
                FlaggedPair(**flag.pair.row(), reasons=flag.reasons, action=flag.action)
                for flag in outcome.flagged
            ]
            write_table(layout.kept(round), outcome.kept, JudgedPair)
            write_table(layout.flagged(round), flagged, FlaggedPair)
            report = {
                **figures,
                "limits": {"max_flagged": settings.max_flagged, "min_kept": settings.min_kept},
                "reasons": outcome.counts,
                "gates": [asdict(verdict) for verdict in verdicts],
                "suites": {s.name: as_json(s, f) for s, f in zip(suites, failing, strict=True)},
            }
            write_json(layout.checks(round), report)
            run.metrics({**figures, **{f"flag/{k}": v for k, v in outcome.counts.items()}})
            run.metrics({f"gate/{v.gate}": v.number for v in verdicts if v.number is not None})
            enforce_files(zip(records.others, failing, strict=False), round=round)
            enforce(outcome, verdicts, round=round)
        write_manifest(layout, f"filter@{round}")
        tell(round, figures, outcome, verdicts)


def figures_of(pairs: int, outcome: "Outcome[JudgedPair]") -> dict[str, float]:
    """What a round's pairs come to, by name."""
    import numpy as np

    from spa.checks.gates import chosen_longer

    finite = [p.margin for p in outcome.kept if np.isfinite(p.margin)] or [0.0]
    return {
        "pairs": pairs,
        "kept": len(outcome.kept),
        "flagged": len(outcome.flagged),
        "dropped": outcome.dropped,
        "chosen_longer": chosen_longer(outcome.kept),
        "margin_mean": float(np.mean(finite)),
        "margin_std": float(np.std(finite)),
    }


def tell(
    round: int, figures: dict[str, float], outcome: "Outcome[JudgedPair]", verdicts: "list[Verdict]"
) -> None:
    """The round's end in a line, and a line more for every gate that warns."""
    from spa.checks.gates import describe

    counts = ", ".join(f"{reason} {count}" for reason, count in outcome.counts.items())
    print(
        f"filter@{round}: {figures['kept']} of {figures['pairs']} pairs kept; "
        f"{figures['flagged']} flagged{': ' + counts if counts else ''}"
    )
    for verdict in verdicts:
        if verdict.verdict == "warn":
            print(f"warning: {describe(verdict, outcome.counts, round=round)}")
