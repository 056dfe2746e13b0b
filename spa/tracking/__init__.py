"""MLflow: one parent run per pipeline, one flat child per stage and round, one registered model.

The pipeline's run is found by its key, a hash of params.yaml and the raw data, so that every
process of it finds the same one. Figures per round stand on the parent with step = round;
training curves stand on the child. A server that cannot be reached is said once and stops
nothing.
"""
