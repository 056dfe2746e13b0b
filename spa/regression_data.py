"""What AlpacaEval's length control is fitted with: data of other models on its 805 instructions.

It is df_gamed.csv of tatsu-lab/alpaca_eval, fetched from the Hub or supplied by anyone as a file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa.errors import InputError

_HUB = "tatsu-lab/alpaca_eval"
_COLUMNS = {
    "model",
    "index",
    "preference",
    "std_delta_len",
    "instruction_difficulty",
    "not_gamed_baseline",
}


_NUMBERS = ("index", "preference", "std_delta_len", "instruction_difficulty")


@dataclass(frozen=True)
class RegressionData:
    """The file that length control is fitted with; `original` where it came from the Hub."""

    file: Path
    original: bool


def fetch_regression_data() -> RegressionData | None:
    """The library's own data from the Hub or its cache, or None where it cannot be had.

    Without a network the Hub's client gives up after half a minute; HF_HUB_OFFLINE=1 at once.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import logging as hub_logging

    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        file = hf_hub_download(repo_id=_HUB, filename="df_gamed.csv", repo_type="dataset")
    except Exception:  # whatever keeps the Hub from answering, the figure is refused
        return None
    return RegressionData(Path(file), original=True)


def read_regression_data(file: Path, instructions: int) -> RegressionData:
    """Somebody's own regression data, which nothing proves to be the original.

    Raises:
        InputError: the file cannot be read, lacks a column or a number, or does not have the
            instructions in their order.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(file)
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{file}: cannot be read as CSV ({text})") from error
    if missing := sorted(_COLUMNS - set(frame.columns)):
        raise InputError(
            f"{file}, field '{missing[0]}': missing (found {', '.join(map(str, frame.columns))}); "
            "wanted alpaca-eval's df_gamed.csv"
        )
    covered = set(range(instructions)) & set(frame["index"])
    if len(covered) < instructions:
        raise InputError(
            f"{file}, field 'index': found {len(covered)} of instructions 0 to "
            f"{instructions - 1}; wanted all of them"
        )
    _check_rows(file, frame, instructions)
    return RegressionData(file, original=False)


def _check_rows(file: Path, frame: Any, instructions: int) -> None:
    """The library drops a row that lacks a number and takes a row's place for its instruction."""
    import numpy as np
    import pandas as pd

    numbers = {name: pd.to_numeric(frame[name], errors="coerce") for name in _NUMBERS}
    wanted = {
        name: (np.isfinite(column.astype(float)), "a number") for name, column in numbers.items()
    }
    in_order = numbers["index"] == frame.index
    in_order[instructions:] = True
    wanted["index"] = in_order, f"0 to {instructions - 1} in this order in the first rows"
    told = frame["not_gamed_baseline"].astype(str).isin(["True", "False"])  # the library negates it
    wanted["not_gamed_baseline"] = told, "True or False"
    for name, (right, what) in wanted.items():
        if not right.all():
            row = int((~right).to_numpy().argmax())
            raise InputError(
                f"{file}, row {row + 1}, field '{name}': found {frame[name].iloc[row]}; wanted "
                f"{what}; mend the file or take alpaca-eval's df_gamed.csv"
            )
