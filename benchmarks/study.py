"""What the studies share: running a pipeline with other params, gathering outcomes, inference."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from spa.annotation.annotator import Answer
from spa.calibration import correct
from spa.files import read_json
from spa.layout import Layout
from spa.metrics import Interval, bootstrap
from spa.records import Response
from spa.seeds import generator

ROOT = Path(__file__).parents[1]
RESAMPLES = 10_000
Floats = NDArray[np.float64]


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`; mappings in both are merged in turn."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def reproduce(layout: Layout, params: Mapping[str, Any], targets: Sequence[str] = ()) -> None:
    """Run the pipeline with these params, and let go of models that it no longer uses."""
    text = yaml.safe_dump(dict(params), sort_keys=False)
    layout.params.write_text(text, encoding="utf-8")
    subprocess.run(["dvc", "repro", *targets], cwd=layout.root, check=True)
    subprocess.run(["dvc", "gc", "--workspace", "--force", "-q"], cwd=layout.root, check=True)


def outcomes(layout: Layout, name: str) -> dict[str, Any]:
    """Figures of one policy, and its rubric score and win on every held-out prompt."""
    metrics = read_json(layout.evaluation(name) / "metrics.json")
    found: dict[str, Any] = {k: v for k, v in metrics.items() if isinstance(v, int | float)}
    for pool, folder in (("test", "."), ("development", "development")):
        own = read_json(layout.evaluation(name) / folder / "annotations.json")
        found[pool] = {
            "prompts": [row["prompt_id"] for row in own],
            "wins": [row["preference"] - 1 for row in own],
            "scores": [row["score"] for row in own],
        }
    return found


def judged(layout: Layout, round: str) -> list[dict[str, Any]]:
    """What every judge and the rubric say of a round's pairs."""
    keys = ("prompt_id", "gold", "gap", "judge", "likelihood", "length")
    rows = read_json(layout.calibration(round) / "pairs.json")
    return [{key: row[key] for key in keys} for row in rows]


def answer(response: Response) -> Answer:
    """A sampled answer as annotators read it."""
    return Answer(response.text, response.finish_reason)


def append(file: Path, row: Mapping[str, Any]) -> None:
    """Add one line to a file of results, in one write: other processes may add theirs."""
    file.parent.mkdir(exist_ok=True)
    with file.open("ab", buffering=0) as out:
        out.write(json.dumps(row, sort_keys=True).encode() + b"\n")


def read_results(file: Path) -> list[dict[str, Any]]:
    """All results so far; none where the file is not there yet."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def over_seeds(groups: Sequence[Sequence[float]]) -> tuple[Interval, float]:
    """Mean over seeds and prompts, its 95 % interval, and p for "the mean is 0".

    A bootstrap over both: seeds are drawn with replacement, then the prompts of each drawn
    seed. p is twice the smaller share of resampled means on either side of 0, never below
    one in the number of resamples.

    Args:
        groups: one list of paired differences per seed.
    """
    random = generator(0, "study")
    arrays = [np.asarray(group, dtype=np.float64) for group in groups]
    means = np.array([_resampled(arrays, random) for _ in range(RESAMPLES)])
    low, high = np.quantile(means, [0.025, 0.975])
    side = min(float((means <= 0).mean()), float((means >= 0).mean()))
    mean = float(np.mean([array.mean() for array in arrays]))
    count = sum(map(len, arrays))
    return Interval(mean, float(low), float(high), count), min(1.0, max(2 * side, 1 / RESAMPLES))


def _resampled(arrays: Sequence[Floats], random: np.random.Generator) -> float:
    drawn = [arrays[i] for i in random.integers(len(arrays), size=len(arrays))]
    return float(
        np.mean([array[random.integers(len(array), size=len(array))].mean() for array in drawn])
    )


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    seed: int,
    clusters: Sequence[str] | None = None,
) -> Interval:
    """95 % interval of mean(second - first), rows paired."""
    difference = [b - a for a, b in zip(first, second, strict=True)]
    return bootstrap(difference, seed=seed, clusters=clusters)


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """p values adjusted for their number by Holm's rule."""
    found, highest = {}, 0.0
    for place, name in enumerate(sorted(values, key=lambda name: values[name])):
        highest = max(highest, min(1.0, (len(values) - place) * values[name]))
        found[name] = highest
    return found


def share_right(rows: Sequence[Mapping[str, Any]], judge: str) -> float:
    """Share of decided pairs on which a judge agrees with gold; no opinion counts one half."""
    right = correct(rows, judge)
    return sum(right) / len(right)


def markdown(title: str, header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table under a heading."""
    lines = [header, ["---"] * len(header), *body]
    return f"### {title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def share(value: Interval) -> str:
    """A share with its interval, in hundredths."""
    return f"{100 * value.mean:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def percent(value: Interval) -> str:
    """A difference with its sign and interval, in hundredths."""
    return f"{100 * value.mean:+.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"
