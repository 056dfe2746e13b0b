"""SPA: align a language model from a few preference labels. Importing this loads nothing heavy.

The functions of `spa.api` are names of this package, loaded when they are first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spa.api import judge, load_pairs, load_policy, sample, score

__version__ = "0.1.0"
__all__ = ["__version__", "judge", "load_pairs", "load_policy", "sample", "score"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from spa import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
