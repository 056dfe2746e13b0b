"""Stage `calibrate@N`: how often is a round's judge right?"""

from typing import Any

from stages._context import RoundOption, stage_context


def main(round: RoundOption) -> None:
    """Compare the judge's labels with gold ones, beside likelihood alone and length alone.

    Gold is what the first annotator of evaluate.annotator says that can be asked without a
    price; the rubric, where all of them are recorded or behind an endpoint.

    Accuracy with its interval, how well margins rank (AUROC) and how sure they may make one
    (Brier score after one fitted temperature, reliability, accuracy by coverage, margin and
    length), and whether the noise flags of training found the labels that are wrong.
    Nothing that trains reads the result. Beside it lies the round's digest, what the report
    shows of its pairs and its training.
    """
    from spa.annotation.loading import load_annotator
    from spa.calibration import calibrate, summarise
    from spa.digest import digest
    from spa.files import replace_folder, write_json
    from spa.manifest import write_manifest
    from spa.records import FlaggedPair, JudgedPair, Response, Score, TrainingRow
    from spa.tables import read_table
    from spa.tracking.stages import track

    with stage_context(round) as here:
        layout, gold = here.layout, here.params.evaluate.asked
        with track(layout, "calibrate", round, {"method": here.params.judge.method}) as run:
            responses = read_table(layout.responses(round), Response)
            log = read_table(layout.training_log(round), TrainingRow)
            pairs = read_table(layout.pairs(round), JudgedPair)
            rows = calibrate(
                pairs,
                read_table(layout.scores(round), Score),
                responses,
                load_annotator(gold, here.params, here.compute, layout=layout),
                log,
            )
            metrics = summarise(
                rows,
                seed=here.params.seed,
                method=here.params.judge.method,
                prompts=len({response.prompt_id for response in responses}),
                non_finite=len(pairs) - len(rows),
            )
            shown = digest(
                read_table(layout.kept(round), JudgedPair),
                read_table(layout.flagged(round), FlaggedPair),
                {row["pair_id"]: row["gold"] for row in rows},
                log,
            )
            with replace_folder(layout.calibration(round)) as folder:
                write_json(folder / layout.digest(round).name, shown)
                write_json(folder / "pairs.json", rows)
                write_json(folder / "metrics.json", metrics)
            run.metrics({k: v for k, v in metrics.items() if isinstance(v, float)})
        write_manifest(layout, f"calibrate@{round}")
        print("\n".join(describe(round, metrics)))


def describe(round: int, metrics: dict[str, Any]) -> list[str]:
    """Lines for the terminal."""
    lines = []
    if metrics["non_finite"]:
        lines.append(
            f"warning: {metrics['non_finite']} pairs without a finite margin are left out; "
            f"`spa flagged --round {round} --reason non_finite` shows them"
        )
    if metrics["n"] == 0:
        return [
            *lines,
            f"calibrate@{round}: the annotator calls every pair a tie; nothing to compare",
        ]
    return [
        *lines,
        f"calibrate@{round}: the judge is right on {metrics['judge_accuracy']:.1%} of "
        f"{metrics['n']} pairs; likelihood alone {metrics['likelihood_accuracy']:.1%}, "
        f"shorter wins {metrics['length_accuracy']:.1%}; AUROC {metrics['auroc']:.2f}",
    ]
