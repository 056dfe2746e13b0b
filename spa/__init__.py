"""SPA: align a language model from a few preference labels. Importing this loads nothing heavy."""

__version__ = "0.1.0"
