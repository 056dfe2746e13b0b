"""Text of models and users on a terminal: shown, never obeyed."""


def plain(text: str) -> str:
    """Text on one line, with line ends and all that a terminal would act on as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def lines(text: str) -> str:
    """Text whose line ends stay, with all else that a terminal would act on as escapes."""
    return "\n".join(map(plain, text.split("\n")))
