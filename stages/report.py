"""Stage `report`: one table of all rounds."""


def main() -> None:
    """Gather what evaluation and calibration found."""
