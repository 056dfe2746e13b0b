"""What a row is, by the names and types of its fields.

| shape | fields |
|---|---|
| TRL, explicit prompt | `prompt`, `chosen`, `rejected`: text or messages |
| TRL, implicit prompt | `chosen`, `rejected`: text or messages that begin alike |
| UltraFeedback binarized | `prompt` as text; `chosen`, `rejected` as whole conversations |
| Anthropic hh | `chosen`, `rejected`: transcripts with `Human:` and `Assistant:` |
| prompts alone | `prompt`: text or messages |
| answers to score | `prompt`, and `response` as text |
| instructions | `instruction`; maybe `output` with its `generator` |
| AlpacaEval's annotations | `instruction`, `preference`, and `output_`, `generator_` 1 and 2 |
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from spa.importing.transcripts import is_transcript


class Shape(StrEnum):
    """Every shape; the values are what users are told."""

    EXPLICIT_TEXT = "TRL preference, explicit prompt, plain text"
    EXPLICIT_MESSAGES = "TRL preference, explicit prompt, conversational"
    IMPLICIT_TEXT = "TRL preference, implicit prompt, plain text"
    IMPLICIT_MESSAGES = "TRL preference, implicit prompt, conversational"
    ULTRAFEEDBACK = "UltraFeedback binarized"
    HH = "Anthropic hh transcripts"
    PROMPTS = "prompts without labels"
    ANSWERS = "answers without labels"
    INSTRUCTIONS = "instructions"
    ANNOTATIONS = "AlpacaEval annotations"
    UNKNOWN = "unknown"


def shape_of(fields: Mapping[str, Any]) -> Shape:
    """The shape of a row; its fields may still be faulty, and null ones count as none."""
    given, fields = fields, {name: own for name, own in fields.items() if own is not None}
    if "chosen" in fields or "rejected" in fields:
        return _pair_shape(fields)
    if "instruction" in fields:
        return Shape.ANNOTATIONS if "preference" in given else Shape.INSTRUCTIONS
    if "prompt" in fields:
        return Shape.ANSWERS if "response" in fields else Shape.PROMPTS
    return Shape.UNKNOWN


def describe(counts: Mapping[Shape, int]) -> str:
    """The shape of a file: its rows' shape, or every shape with its number of rows."""
    known = {shape: rows for shape, rows in counts.items() if shape != Shape.UNKNOWN}
    if not known:
        return str(Shape.UNKNOWN)
    if len(known) == 1:
        return str(next(iter(known)))
    ranked = sorted(known.items(), key=lambda item: (-item[1], item[0]))
    return "mixed: " + "; ".join(f"{shape} ({rows} rows)" for shape, rows in ranked)


def _pair_shape(fields: Mapping[str, Any]) -> Shape:
    answers = [fields[name] for name in ("chosen", "rejected") if name in fields]
    if all(isinstance(answer, list) for answer in answers):
        return _conversational(fields, answers)
    if not all(isinstance(answer, str) for answer in answers):
        return Shape.UNKNOWN
    if all(map(is_transcript, answers)) or is_transcript(fields.get("prompt")):
        return Shape.HH
    return Shape.EXPLICIT_TEXT if "prompt" in fields else Shape.IMPLICIT_TEXT


def _conversational(fields: Mapping[str, Any], answers: list[list[Any]]) -> Shape:
    if "prompt" not in fields:
        return Shape.IMPLICIT_MESSAGES
    whole = isinstance(fields["prompt"], str) and any(len(answer) > 1 for answer in answers)
    return Shape.ULTRAFEEDBACK if whole else Shape.EXPLICIT_MESSAGES
