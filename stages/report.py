"""Stage `report`: one page and table of all rounds, and MLflow's curves over rounds."""

from typing import TYPE_CHECKING

from stages._context import stage_context

if TYPE_CHECKING:
    from pathlib import Path

    from spa.layout import Layout
    from spa.page.contents import Page


def main() -> None:
    """Gather what evaluation and calibration found, show it, and log it per round.

    Writes index.html, a page that needs nothing else, its pictures, and summary.json and
    rounds.csv, which belong in git.
    """
    from spa import report, report_words
    from spa.calibration import seed_noise
    from spa.files import read_json, replace_file, write_json
    from spa.length_guard import health
    from spa.manifest import write_manifest
    from spa.page.contents import Words, read_page
    from spa.page.render import render
    from spa.panel import panel_in_words, read_panel
    from spa.records import FlaggedSeedPair, Pair, TrainingRow
    from spa.tables import read_table
    from spa.tracking.registry import log_policies
    from spa.tracking.rounds import log_artifacts, log_rounds

    with stage_context() as here:
        layout, rounds = here.layout, list(here.params.rounds)
        rows = report.read_rows(layout, rounds)
        log = read_table(layout.training_log(0), TrainingRow)
        noise = seed_noise(log, read_json(layout.flipped_seed))
        flags = report_words.seed_flags(
            read_table(layout.pool("seed"), Pair), read_table(layout.flagged(0), FlaggedSeedPair)
        )
        panel = read_panel(layout, rounds)
        checked = {row["round"]: health(row, rows[0]) for row in rows if row["round"].isdigit()}
        summary = {
            **report.summary(rows),
            "seed_flags": flags,
            "seed_noise": noise,
            "panel": panel,
            "health": checked,
        }
        flipped = here.params.split.flip_seed_labels
        words = Words(
            rounds=[*report_words.in_words(rows), *panel_in_words(panel)],
            judges=[
                *report_words.seed_in_words(flags),
                *report_words.judges_in_words(rows, flipped=flipped, noise=noise),
            ],
            health=[found["words"] for found in checked.values()],
        )
        page = read_page(layout, here.params, rows, summary, words)
        write_json(layout.report / "summary.json", summary)
        with replace_file(layout.report / "rounds.csv") as file:
            file.write_text(report.to_csv(rows), encoding="utf-8")
        pictures = draw(layout, page)
        index = layout.report / "index.html"
        with replace_file(index) as file:
            file.write_text(render(page), encoding="utf-8")
        write_manifest(layout, "report")
        log_rounds(layout, rows)
        log_policies(layout, rows, report.recommend(rows))
        log_artifacts(layout, [index, layout.report / "summary.json", *pictures])
        print(report.to_table(rows))
        print("\n".join(["", *words.rounds, *words.judges, *words.health]))
        print(f"\nThe report: {layout.show(index)}")


def draw(layout: "Layout", page: "Page") -> "list[Path]":
    """Write the page's pictures beside it; returns their files."""
    from spa.drawing import save_png
    from spa.files import replace_file

    files = []
    for name, plots in page.plots.items():
        files.append(layout.report / f"{name}.png")
        with replace_file(files[-1]) as file:
            save_png(plots, file)
    return files
