"""Stage `filter@N`: the data contract of a round's pairs."""

from stages._context import RoundOption, stage_context


def main(round: RoundOption) -> None:
    """Flag degenerate pairs, drop what params.yaml says, stop where there are too many.

    Flagged pairs stand in flagged.parquet with their reasons, also where the run stops.
    """
    import numpy as np

    from spa.checks import enforce, run_checks
    from spa.degeneracy import normalise, word_count
    from spa.files import read_table, write_json, write_table
    from spa.manifest import write_manifest
    from spa.records import FlaggedPair, JudgedPair, Pair, Prompt
    from spa.tracking.stages import track

    with stage_context(round) as here:
        layout, settings = here.layout, here.params.filter
        pairs = read_table(layout.pairs(round), JudgedPair)
        held_out = {
            normalise(row.prompt[-1]["content"])
            for pool in ("development", "test")
            for row in read_table(layout.pool(pool), Prompt)
        } | {
            normalise(row.prompt[-1]["content"])
            for pool in ("gold", "seed")
            for row in read_table(layout.pool(pool), Pair)
        }
        with track(layout, "filter", round, settings.model_dump()) as run:
            run.dataset(layout.pairs(round), context="pairs")
            outcome = run_checks(pairs, settings.checks, held_out=held_out)
            margins = [pair.margin for pair in outcome.kept] or [0.0]
            longer = [word_count(p.chosen) > word_count(p.rejected) for p in outcome.kept] or [
                False
            ]
            figures = {
                "pairs": len(pairs),
                "kept": len(outcome.kept),
                "flagged": len(outcome.flagged),
                "dropped": outcome.dropped,
                "chosen_longer": float(np.mean(longer)),
                "margin_mean": float(np.mean(margins)),
                "margin_std": float(np.std(margins)),
            }
            limits = {"max_flagged": settings.max_flagged, "min_kept": settings.min_kept}
            write_table(layout.kept(round), outcome.kept, JudgedPair)
            write_table(layout.flagged(round), outcome.flagged, FlaggedPair)
            report = {**figures, "limits": limits, "reasons": outcome.counts}
            write_json(layout.checks(round), report)
            run.metrics({**figures, **{f"flag/{k}": v for k, v in outcome.counts.items()}})
            where = layout.show(layout.flagged(round))
            enforce(
                outcome,
                max_flagged=settings.max_flagged,
                min_kept=settings.min_kept,
                where=where,
            )
        write_manifest(layout, f"filter@{round}")
        counts = ", ".join(f"{reason} {count}" for reason, count in outcome.counts.items())
        print(
            f"filter@{round}: {len(outcome.kept)} of {len(pairs)} pairs kept; "
            f"{len(outcome.flagged)} flagged{': ' + counts if counts else ''}"
        )
