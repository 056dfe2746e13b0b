"""One Typer command per stage of dvc.yaml; the only place that imports typer."""
