"""Sweeps: the pipeline under several seeds and settings, run by DVC's queue of experiments."""
