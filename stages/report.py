"""Stage `report`: one table of all rounds, its pictures, and MLflow's curves over rounds."""

from stages._context import stage_context


def main() -> None:
    """Gather what evaluation and calibration found, show it, and log it per round.

    Writes summary.json and rounds.csv, which belong in git, and pictures.
    """
    from spa import pictures, report
    from spa.calibration import seed_noise
    from spa.files import read_json, read_table, replace_file, write_json
    from spa.length_guard import health
    from spa.manifest import write_manifest
    from spa.panel import panel_in_words, read_panel
    from spa.records import TrainingRow
    from spa.tracking.registry import log_policies
    from spa.tracking.rounds import log_artifacts, log_rounds

    with stage_context() as here:
        layout, rounds = here.layout, list(here.params.rounds)
        rows = report.read_rows(layout, rounds)
        log = read_table(layout.training_log(0), TrainingRow)
        noise = seed_noise(log, read_json(layout.flipped_seed))
        panel = read_panel(layout, rounds)
        checked = {row["round"]: health(row) for row in rows if row["round"].isdigit()}
        summary = {**report.summary(rows), "seed_noise": noise, "panel": panel, "health": checked}
        write_json(layout.report / "summary.json", summary)
        with replace_file(layout.report / "rounds.csv") as file:
            file.write_text(report.to_csv(rows), encoding="utf-8")
        names = ("win_rate", "reward_kl", "training", "calibration")
        files = [layout.report / f"{name}.png" for name in names]
        with replace_file(files[0]) as file:
            pictures.draw_win_rate(rows, file)
        with replace_file(files[1]) as file:
            pictures.draw_reward_kl(rows, file)
        with replace_file(files[2]) as file:
            pictures.draw_training(layout, rounds, file)
        with replace_file(files[3]) as file:
            pictures.draw_calibration(layout, rounds, file)
        write_manifest(layout, "report")
        log_rounds(layout, rows)
        log_policies(layout, rows, report.recommend(rows))
        log_artifacts(layout, [layout.report / "summary.json", *files])
        print(report.to_table(rows))
        judged = report.judges_in_words(
            rows, flipped=here.params.split.flip_seed_labels, noise=noise
        )
        lengths = [found["words"] for found in checked.values()]
        words = [*report.in_words(rows), *panel_in_words(panel), *judged, *lengths]
        print("\n".join(["", *words]))
