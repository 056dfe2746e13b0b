"""alpaca-eval's own figures: the library is quiet."""

import logging

from spa.leaderboard import raw_figures


def test_the_library_leaves_the_root_logger_alone() -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    raw_figures([{"preference": 1.0}])
    assert (root.level, root.handlers) == before
