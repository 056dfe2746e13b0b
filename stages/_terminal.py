"""Text of models and users on a terminal: shown, never obeyed."""


def plain(text: str) -> str:
    """Text on one line, with line ends and all that a terminal would act on as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
