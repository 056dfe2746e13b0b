"""The answers of all policies to the same few test prompts, with the annotator's verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spa.files import read_json
from spa.layout import Layout

PROMPTS = 6
"""Test prompts shown."""


@dataclass(frozen=True)
class PolicyAnswer:
    """One policy's answer.

    `verdict` is the annotator's in words, None where there is none to give; `score` its own of
    this answer, None where it only compares.
    """

    policy: str
    text: str
    finished: bool
    tokens: int
    verdict: str | None
    score: float | None


@dataclass(frozen=True)
class Answered:
    """A test prompt with every policy's answer; `reference` is the one they were compared with,
    None where that is the base's."""

    prompt_id: str
    instruction: str
    reference: str | None
    answers: list[PolicyAnswer]


@dataclass(frozen=True)
class _Evaluated:
    """A policy's outputs and annotations of test prompts, by prompt."""

    outputs: dict[str, dict[str, Any]]
    annotations: dict[str, dict[str, Any]]


def read_answers(layout: Layout, policies: Sequence[str], *, against: str) -> list[Answered]:
    """Some test prompts, in the order of their ids, with what every policy answered.

    Args:
        layout: the pipeline.
        policies: base, rounds, rival, in the order shown.
        against: whose answers they were compared with, `base` or `reference`.

    Raises:
        ArtefactError: an evaluation is missing.
    """
    found = {name: _evaluated(layout, name) for name in policies}
    base = found["base"]
    return [
        Answered(
            name,
            base.outputs[name]["instruction"],
            None if against == "base" else base.annotations[name]["output_1"],
            [
                _answer(policy, own, name, judged=policy != "base" or against != "base")
                for policy, own in found.items()
            ],
        )
        for name in sorted(base.outputs)[:PROMPTS]
    ]


def read_lengths(layout: Layout, policies: Sequence[str]) -> dict[str, list[int]]:
    """Characters of every policy's answers to the test prompts.

    Raises:
        ArtefactError: an evaluation is missing.
    """
    found = {name: _evaluated(layout, name) for name in policies}
    return {
        name: [len(row["output"]) for row in own.outputs.values()] for name, own in found.items()
    }


def _evaluated(layout: Layout, policy: str) -> _Evaluated:
    outputs, annotations = (
        {row["prompt_id"]: row for row in read_json(layout.evaluation(policy) / file)
         if row["dataset"] == "test"}
        for file in ("outputs.json", "annotations.json")
    )  # fmt: skip
    return _Evaluated(outputs, annotations)


def _answer(policy: str, own: _Evaluated, prompt_id: str, *, judged: bool) -> PolicyAnswer:
    output, annotation = own.outputs[prompt_id], own.annotations[prompt_id]
    return PolicyAnswer(
        policy,
        output["output"],
        output["finish_reason"] == "stop",
        output["tokens"],
        _verdict(annotation["preference"]) if judged else None,
        annotation["score"],
    )


def _verdict(preference: float | None) -> str:
    """From AlpacaEval's preference, 1 (the other answer) to 2 (this one)."""
    if preference is None:
        return "no verdict"
    if preference == 1.5:
        return "tie"
    sure = "" if preference in (1, 2) else f" ({max(preference - 1, 2 - preference):.0%})"
    return ("better" if preference > 1.5 else "worse") + sure
