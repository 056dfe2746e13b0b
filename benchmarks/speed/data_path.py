"""The data's way through the stages at two sizes, models replaced by recorded answers.

`recorded_pipeline.py` writes a pipeline of two rounds; then the real stages split, filter,
calibrate and report, the judge's bookkeeping, and the tools lineage and audit run on it.
"""

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from recorded_outputs import judge
from recorded_pipeline import write_lock, write_recorded

from spa.audit import audit
from spa.files import write_json
from spa.layout import Layout
from spa.manifest import write_manifest
from spa.param_files import load_params
from spa.records import JudgedPair, Prompt
from spa.tables import read_table
from speed.ratios import Comparison
from tests.tiny import make_tokenizer

LARGE, SMALL = 60_000, 6_000
COMPARISONS = (
    Comparison(
        "data_path", "data_path:large", ("limits:five_minutes",), 1.0,
        note="60,000 prompts in two rounds, against 5 minutes",
    ),
    Comparison(
        "data_path_memory", "data_path:large", ("limits:three_gib",), 1.0,
        quantity="peak_gib", unit="GiB", note="against 3 GiB",
    ),
    Comparison(
        "data_path_per_row", "data_path:large", ("data_path:small",), 1 / 1.3,
        quantity="per_row", unit="ms/row", note="the peer is the same at 6,000 prompts",
    ),
)  # fmt: skip


def large(work: dict[str, Any]) -> dict[str, Any]:
    """60,000 prompts."""
    return _measure(LARGE)


def small(work: dict[str, Any]) -> dict[str, Any]:
    """6,000 prompts."""
    return _measure(SMALL)


def _measure(prompts: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        layout = write_recorded(Path(scratch), prompts=prompts // 2, seed_pairs=2000)
        make_tokenizer().save_pretrained(layout.policy("base"))  # checks look for its tokens
        write_manifest(layout, "base")
        before = Path.cwd()
        os.chdir(scratch)
        try:
            seconds = _run(layout)
        finally:
            os.chdir(before)
    whole = sum(seconds.values())
    return {"seconds": whole, "per_row": 1000 * whole / prompts, "parts": seconds}


def _run(layout: Layout) -> dict[str, float]:
    """Seconds of each part, in the order of the pipeline."""
    from stages import calibrate, filter, report, split
    from stages.tools import lineage

    params = load_params(layout.params)
    rounds = [int(name) for name in params.rounds]
    seconds = {"split": _timed(split.main)}
    seconds["judge"] = sum(_timed(partial(judge, layout, params, str(n))) for n in rounds)
    seconds["filter"] = sum(_timed(partial(filter.main, n)) for n in rounds)
    seconds["calibrate"] = sum(_timed(partial(calibrate.main, n)) for n in rounds)
    for name in ("base", "0", *map(str, rounds), "rival"):
        _evaluation(layout, name)
    seconds["report"] = _timed(report.main)
    write_lock(layout)
    pair = read_table(layout.kept(rounds[-1]), JudgedPair)[0].pair_id
    seconds["lineage"] = _timed(lambda: lineage.main(pair=pair, prompt=None, as_json=True))
    seconds["audit"] = _timed(lambda: audit(layout))
    return seconds


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        work()
    return time.perf_counter() - start


def _evaluation(layout: Layout, name: str) -> None:
    """What the report wants of a policy; models would have made it."""
    own = {"n": 8, "win_rate": 0.5, "win_rate_low": 0.4, "win_rate_high": 0.6}
    figures: dict[str, Any] = {
        "round": name, "annotator": "rubric", "against": "base", "heldout_accuracy": None,
        "kl_to_base": 1.0, "gold_reward": 0.5, "mean_tokens": 40.0, "mean_words": 30.0,
        "finished": 0.5, "development": {"n": 4, "win_rate": 0.5}, "annotators": {"rubric": own},
        "mean_characters": 100.0, "length_ratio": 1.0, "longer_preferred": 0.5,
        "longer_preferred_low": 0.4, "equal_length_win_rate": 0.5,
        "length_gain": 0.0, "length_gain_low": -0.1, "repetition": 0.0,
        "distinct_2": 0.9, "agreement": [], "null_win_rate": {"rubric": 0.3},
        "null_interval": {"rubric": own},
        **own, **({"gamma": 4.0} if name == "rival" else {}),
    }  # fmt: skip
    rows = [
        {
            "dataset": pool, "prompt_id": row.prompt_id, "instruction": row.prompt[-1]["content"],
            "output": "An answer.", "finish_reason": "stop", "tokens": 40, "generator": name,
            "output_1": "Another.", "preference": 1 + n % 2, "score": 0.5, "annotator": "rubric",
            "generator_1": "base",
        }
        for pool in ("development", "test")
        for n, row in enumerate(read_table(layout.pool(pool), Prompt))
    ]  # fmt: skip
    for file, content in (("metrics", figures), ("outputs", rows), ("annotations", rows)):
        write_json(layout.evaluation(name) / f"{file}.json", content)
