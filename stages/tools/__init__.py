"""Commands outside the pipeline."""
