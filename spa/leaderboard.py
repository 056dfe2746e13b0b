"""AlpacaEval's own library: its win rates, raw and length-controlled, and its annotators' prompts.

Nothing else of the project imports alpaca_eval.
"""

import importlib.metadata
import logging
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from spa.alpaca_config import Asked, asked, check_config, check_template, unreadable


def raw_figures(annotations: Sequence[dict[str, Any]]) -> dict[str, float]:
    """`n_total`, `win_rate`, `standard_error`, `discrete_win_rate`, in percent, as the library has
    them: rows whose preference is null are left out."""
    return dict(_library().metrics.get_winrate(_frame(annotations)))


def length_controlled(annotations: Sequence[dict[str, Any]], data: Path) -> float:
    """The length-controlled win rate in percent, by the library's regression.

    Args:
        annotations: of AlpacaEval's instructions, all of them, in their order.
        data: the file to fit with (`spa.regression_data`).

    Source: Dubois, Galambosi, Liang and Hashimoto, arXiv:2404.04475.
    """
    import sklearn

    glm = sys.modules[_library().metrics.get_length_controlled_winrate.__module__]
    fetch = glm.hf_hub_download
    glm.hf_hub_download = lambda **_: str(data)  # type: ignore[attr-defined]
    try:
        with sklearn.config_context(), _quiet():
            figures = glm.get_length_controlled_winrate(
                _frame(annotations), save_weights_dir=None, is_warn_extreme_changes=False
            )
    finally:
        glm.hf_hub_download = fetch  # type: ignore[attr-defined]
    return float(figures["length_controlled_winrate"])


Complete = Callable[[Sequence[list[dict[str, str]]], Asked], list[dict[str, Any]]]
"""Takes chats and what is asked for; returns one choice of a chat completion for each chat, with
`message`, `logprobs` and `total_tokens`."""


def ask_pairs(
    config: str, root: Path, pairs: Sequence[dict[str, str]], complete: Complete
) -> list[float | None]:
    """Preferences of one of AlpacaEval's annotators, whose prompts `complete` answers.

    Args:
        config: the annotator's name, or a folder below `root` with its `configs.yaml`.
        root: the pipeline's folder.
        pairs: `instruction`, `output_1`, `output_2`.
        complete: called once.

    Returns:
        From 1 (output_1) to 2 (output_2), None where an answer says neither; 1.5 for equal
        outputs, about which nobody is asked.

    Raises:
        AnnotationError: there is no such annotator, or it cannot be asked here.
    """
    library, stderr = _library(), sys.stderr

    def answer(prompts: Sequence[str], **settings: Any) -> dict[str, list[Any]]:
        with redirect_stderr(stderr):
            chats = [library.utils.prompt_to_chatml(text) for text in prompts]
            choices = complete(chats, asked(settings))
        texts = [_said(choice["message"]) for choice in choices]
        return {"completions": texts, "completions_all": choices}

    annotator = open_annotator(config, root)
    with _quiet():
        for single in annotator.annotators.values():
            single.fn_completions = answer
        with redirect_stderr(StringIO()):  # its bars are no news, its complaints are the None
            rows = annotator.annotate_pairs(list(pairs), chunksize=None)
    found = {
        (row["instruction"], row["output_1"], row["output_2"]): row["preference"] for row in rows
    }
    keys = [(pair["instruction"], pair["output_1"], pair["output_2"]) for pair in pairs]
    return [_preference(found.get(key)) for key in keys]


def open_annotator(config: str, root: Path) -> Any:
    """alpaca-eval's annotator of a config that can be asked here.

    Raises:
        AnnotationError: there is no such annotator, or it cannot be asked here.
    """
    library = _library()
    folder = root / config
    if not folder.is_dir():
        folder = Path(library.constants.EVALUATORS_CONFIG_DIR) / config
    check_config(config, folder / "configs.yaml")
    with _quiet():
        try:
            annotator = library.annotators.PairwiseAnnotator(
                annotators_config=str(folder.resolve()), caching_path=None
            )
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise unreadable(config, error) from error
    for single in annotator.annotators.values():
        check_template(config, str(single.prompt_template))
    return annotator


def _said(message: dict[str, Any]) -> str:
    """What an answer says: that of a tool's call is its arguments, as alpaca-eval takes them."""
    calls = message.get("tool_calls")
    return str(calls[0]["function"]["arguments"] if calls else message["content"] or " ")


def _preference(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def price_per_token(model: str) -> float | None:
    """AlpacaEval's price of a model in US dollars a token, None where it knows none."""
    _library()
    from alpaca_eval.decoders.openai import _get_price_per_token

    with _quiet():
        price = float(_get_price_per_token(model))
    return None if price != price else price


def _frame(annotations: Sequence[dict[str, Any]]) -> Any:
    import pandas as pd

    return pd.DataFrame(list(annotations))


@cache
def _library() -> Any:
    """Import alpaca_eval, which asks for a module that setuptools has no longer, and chatters."""
    if "pkg_resources" not in sys.modules:
        sys.modules["pkg_resources"] = _pkg_resources()
    with _quiet():
        import alpaca_eval
        import alpaca_eval.annotators
        import alpaca_eval.metrics
        import alpaca_eval.utils
    return alpaca_eval


def _pkg_resources() -> types.ModuleType:
    """The two functions of pkg_resources that alpaca_eval calls."""
    from packaging.version import parse

    module = types.ModuleType("pkg_resources")
    module.parse_version = parse  # type: ignore[attr-defined]
    module.get_distribution = lambda name: types.SimpleNamespace(  # type: ignore[attr-defined]
        version=importlib.metadata.version(name)
    )
    return module


@contextmanager
def _quiet() -> Iterator[None]:
    """Take back what alpaca_eval does to the root logger, and keep warnings of its age away."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
