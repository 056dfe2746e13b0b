"""Two policies set against each other on the same test prompts, in this run or another one's."""

import json
import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa.errors import ArtefactError, InputError
from spa.files import read_json
from spa.layout import Layout
from spa.metrics import bounded

_FIELDS = {"annotator", "dataset", "generator_1", "output_1", "preference", "prompt_id"}


@dataclass(frozen=True)
class WinRateDifference:
    """Win rates of two policies on the prompts both answered, 0 to 1.

    `difference` is the second's minus the first's; `low` and `high` bound its 95 % interval,
    `metrics.bounded` over prompts, paired. `unpaired` counts the prompts on which only one policy
    has a preference: they take no part. `other_baseline` counts the prompts on which the policies
    met different answers of the baseline, as those of another run may be.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    n: int
    unpaired: int
    other_baseline: int


def compare_policies(
    first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]], *, seed: int
) -> WinRateDifference:
    """Set two policies' annotations against each other, prompt by prompt.

    Args:
        first: annotations of one policy, as `data/evaluation/N/annotations.json` has them.
        second: the other's.
        seed: names the bootstrap.

    Raises:
        InputError: they share no test prompt, different annotators compared them, or with
            different baselines.
    """
    _check_alike("annotator", "annotator", first, second)
    _check_alike("baseline", "generator_1", first, second)
    tests = [
        {
            row["prompt_id"]: row
            for row in rows
            if row["dataset"] == "test" and row["preference"] is not None
        }
        for rows in (first, second)
    ]
    shared = [prompt for prompt in tests[0] if prompt in tests[1]]
    if not shared:
        raise InputError(
            f"compare: {len(tests[0])} and {len(tests[1])} test prompts, none in both; wanted "
            "policies that answered the same prompts"
        )
    one, other = ([own[prompt]["preference"] - 1 for prompt in shared] for own in tests)
    gap = bounded([b - a for a, b in zip(one, other, strict=True)], seed=seed, least=-1.0)
    means = [math.fsum(own) / len(own) for own in (one, other)]
    others = sum(len({own[prompt]["output_1"] for own in tests}) > 1 for prompt in shared)
    unpaired = len(tests[0].keys() ^ tests[1].keys())
    return WinRateDifference(
        means[0], means[1], gap.mean, gap.low, gap.high, gap.n, unpaired, others
    )


def _check_alike(what: str, key: str, *policies: Sequence[dict[str, Any]]) -> None:
    first, second = (", ".join(sorted({row[key] for row in rows})) for rows in policies)
    if first != second:
        raise InputError(
            f"compare: found {what} {first} of the first and {second} of the second policy; "
            f"wanted the same {what}"
        )


def read_policy_annotations(
    layout: Layout, name: str, annotator: str | None = None
) -> list[dict[str, Any]]:
    """Annotations of a round (`0`, `2`, `rival`), or of another revision's, `REV:ROUND`.

    Args:
        layout: the pipeline.
        name: REV is a branch, tag, commit or the name of a DVC experiment.
        annotator: whose, by its name in params.yaml; the one that gave the win rate by default.

    Raises:
        ArtefactError: there is no such evaluation, or DVC's cache does not hold it.
        InputError: that annotator did not annotate it.
    """
    file = "annotations.json"
    if annotator is not None:
        known = _read(layout, name, "metrics.json")
        if annotator not in known["annotators"]:
            raise InputError(
                f"compare: found annotations of {name} by {', '.join(known['annotators'])}; wanted "
                f"{annotator}; evaluate it with that name under evaluate.annotator"
            )
        if annotator != known["annotator"]:
            file = f"annotations_{annotator}.json"
    round = name.rpartition(":")[2]
    return _checked(_read(layout, name, file), layout.show(layout.evaluation(round) / file))


def _read(layout: Layout, name: str, file: str) -> Any:
    """A JSON file of a policy's evaluation."""
    revision, _, round = name.rpartition(":")
    folder = layout.evaluation(round)
    if revision:
        return _read_revision(layout, name, revision, folder / file)
    if not folder.is_dir():
        there = sorted(path.name for path in folder.parent.glob("*") if path.is_dir())
        raise ArtefactError(
            f"compare: found no evaluation of {round!r}; wanted one of "
            f"{', '.join(there) or 'those that `dvc repro` makes'}, or REV:ROUND"
        )
    return read_json(folder / file)


def _read_revision(layout: Layout, name: str, revision: str, file: Path) -> Any:
    from dvc.api import read
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError
    from scmrepo.git import Git

    try:
        with closing(Git(str(layout.root))) as git:  # whose paths are those of a revision
            place = file.relative_to(git.root_dir).as_posix()
        return json.loads(read(place, repo=str(layout.root), rev=revision))
    except (DvcException, SCMError, OSError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise ArtefactError(
            f"{name}: {layout.show(file)} cannot be read at {revision} ({text}); wanted a branch, "
            "tag, commit or experiment whose results lie in DVC's cache or remote"
        ) from error


def _checked(rows: Any, name: str) -> list[dict[str, Any]]:
    """Rows of a pipeline's annotations, or what is wrong with the first that is none."""
    if not isinstance(rows, list):
        raise ArtefactError(f"{name}: found no list; wanted annotations; run `dvc repro`")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not _FIELDS <= row.keys():
            raise ArtefactError(
                f"{name}, row {number}: found {row!r:.60}; wanted {', '.join(sorted(_FIELDS))}; "
                "run `dvc repro`"
            )
    return rows
