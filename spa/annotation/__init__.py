"""Annotators: interchangeable ways to say which of two answers is better."""
