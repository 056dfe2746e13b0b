"""Stage `filter@N`."""

from stages._context import RoundOption


def main(round: RoundOption) -> None:
    """Flag degenerate pairs."""
