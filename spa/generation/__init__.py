"""Engines: interchangeable ways to sample answers from a policy."""
