"""The chat template on real prompts: one way from text to tokens, in every stage."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeVar

import torch

from spa.batches import make_batch
from spa.doctor.finding import SHOWN, Finding, faults_or_ok, note
from spa.encoding import Encoder, render
from spa.errors import ModelError
from spa.models import load_encoder
from spa.records import Message, Pair, Prompt
from spa.splits import Pools

R = TypeVar("R")
CHECKED = 64
"""Prompts and pairs looked at, spread over all."""


def check_template(encoder: Encoder, pools: Pools) -> list[Finding]:
    """Prompts and answers become the tokens that the template says, and no others."""
    pairs = _some([*pools.seed, *pools.gold])
    prompts = _some([*pools.test, *pools.development, *chain(*pools.rounds.values())])
    rows: list[Pair | Prompt] = [*pairs, *prompts]
    found = [
        *_first(text for row in rows for text in _prompt_faults(encoder, row)),
        *_first(text for pair in pairs for text in _answer_faults(encoder, pair)),
        *_first(_mask_faults(encoder, pairs)),
    ]
    findings = faults_or_ok(
        "template", found, f"{len(rows)} prompts and {2 * len(pairs)} answers follow it"
    )
    changed = [pair for pair in pairs if not _goes_on(encoder, pair)]
    if changed and not found:
        text = f"changes {len(changed)} of {len(pairs)} answers when it renders a finished chat"
        findings.append(note("template", f"{text}; training reads answers as they are"))
    return findings


def check_policies(encoder: Encoder, folders: Sequence[Path]) -> list[Finding]:
    """Every policy made so far reads text as the base does."""
    found: list[object] = []
    for folder in folders:
        try:
            other = load_encoder(folder)
        except ModelError as error:
            found.append(error)
            continue
        for what, ours, theirs in (
            ("chat template", encoder.tokenizer.chat_template, other.tokenizer.chat_template),
            ("vocabulary", encoder.tokenizer.get_vocab(), other.tokenizer.get_vocab()),
            ("end-of-turn token", encoder.end_of_turn, other.end_of_turn),
        ):
            if ours != theirs:
                found.append(
                    f"{folder}: its {what} is not the base's; wanted the same in every "
                    "stage; delete the folder and run `dvc repro`"
                )
    return faults_or_ok("tokenizers", found, f"all {len(folders)} policies have the base's")


def _some(rows: Sequence[R]) -> list[R]:
    return list(rows[:: max(1, len(rows) // CHECKED)])[:CHECKED]


def _first(faults: Iterator[str]) -> list[str]:
    """The first faults of a kind, and how many more there are."""
    found = list(faults)
    more = [f"{len(found) - SHOWN} more faults like the last"] if len(found) > SHOWN else []
    return found[:SHOWN] + more


def _prompt_faults(encoder: Encoder, row: Pair | Prompt) -> Iterator[str]:
    tokenizer, ids = encoder.tokenizer, encoder.prompt(row.prompt)
    rendered = render(tokenizer, row.prompt, add_generation_prompt=True, tokenize=False)
    if not encoder.spells_token(row.prompt) and ids != _ids(encoder, rendered):
        yield (
            f"{tokenizer.name_or_path}: the tokens of prompt {row.prompt_id} are not those of its "
            "rendered text; wanted no special token beyond the template's; fix the tokenizer"
        )
    whole = _rendered(encoder, row.prompt, "yes")
    if whole[: len(ids)] != ids:
        yield (
            f"{tokenizer.name_or_path}: the tokens of prompt {row.prompt_id} do not begin those of "
            "the chat with its answer; wanted one template for both; fix chat_template"
        )


def _answer_faults(encoder: Encoder, pair: Pair) -> Iterator[str]:
    end = encoder.end_of_turn
    for side, text in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        finished, cut = encoder.answer(text, "stop"), encoder.answer(text, "length")
        if finished.count(end) != 1 or finished[-1] != end or end in cut:
            yield (
                f"pair {pair.pair_id}: its {side} answer contains the end-of-turn token as text; "
                "wanted it once, after a finished answer; remove it from the data"
            )


def _mask_faults(encoder: Encoder, pairs: Sequence[Pair]) -> Iterator[str]:
    """Masks count every token of an answer, also one that is the pad token."""
    for pair in pairs:
        sequences = [
            encoder.sequence(pair.prompt, text, "stop") for text in (pair.chosen, pair.rejected)
        ]
        batch = make_batch(sequences, torch.device("cpu"))
        for number, sequence in enumerate(sequences):
            if batch.targets[batch.owner == number].tolist() != sequence.answer:
                yield f"pair {pair.pair_id}: its mask leaves out tokens of an answer: a bug"


def _goes_on(encoder: Encoder, pair: Pair) -> bool:
    """Whether the template renders a finished answer as prompt, answer and end of turn."""
    ours = encoder.sequence(pair.prompt, pair.chosen, "stop")
    whole = _rendered(encoder, pair.prompt, pair.chosen)
    return whole[: len(ours)] == [*ours.prompt, *ours.answer]


def _rendered(encoder: Encoder, prompt: Sequence[Message], answer: str) -> list[int]:
    """Token ids of a finished chat as the template renders it."""
    return encoder.conversation([*prompt, {"role": "assistant", "content": answer}])


def _ids(encoder: Encoder, text: str) -> list[int]:
    return [int(t) for t in encoder.tokenizer(text, add_special_tokens=False)["input_ids"]]
