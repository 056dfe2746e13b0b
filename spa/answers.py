"""Implicit rewards of answers of anyone's, under any two models of one vocabulary."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from spa.compute import Compute
from spa.encoding import Encoder, TokenSequence
from spa.errors import ModelError
from spa.importing.answers import GivenAnswer
from spa.logprobs import score
from spa.models import load_encoder, load_model, load_vocabulary
from spa.preference import implicit_reward


@dataclass(frozen=True)
class SampledAnswer(GivenAnswer):
    """An answer that a policy of this vocabulary sampled: its tokens are known, ended or cut."""

    token_ids: list[int]


@dataclass(frozen=True)
class AnswerScore:
    """Log-probabilities of an answer in nats, summed over `tokens`.

    The end-of-turn token is one of them where the answer finished, and not where it was cut.

    `reward` is their difference, SPA's implicit reward without beta.
    """

    policy_logp: float
    reference_logp: float
    tokens: int
    reward: float


def score_answers(
    answers: Sequence[GivenAnswer], policy: Path, reference: Path, compute: Compute
) -> list[AnswerScore]:
    """Score answers of anyone's under two models, in float32, one in memory at a time.

    The policy's tokenizer and chat template make the tokens that both models read, so that
    the reference needs no template of its own.

    Args:
        answers: what to score; nothing of them is cut.
        policy: folder of the model whose reward is asked for.
        reference: folder of the model it is compared with.
        compute: where and how to compute.

    Returns:
        One score per answer, in order.

    Raises:
        ModelError: a folder cannot be loaded, or both models number their tokens differently.
        InputError: an answer is longer than a model can read; names file, row and field.
    """
    encoder = load_encoder(policy)
    sequences = [_sequence(encoder, answer) for answer in answers]
    _check_vocabulary(encoder, load_vocabulary(reference), sequences, reference)
    policy_logps, reference_logps = (
        _read_by(folder, answers, sequences, compute, name)
        for folder, name in ((policy, "policy reads"), (reference, "reference reads"))
    )
    return [
        AnswerScore(ours, theirs, len(sequence.answer), implicit_reward(ours, theirs))
        for ours, theirs, sequence in zip(policy_logps, reference_logps, sequences, strict=True)
    ]


def _sequence(encoder: Encoder, answer: GivenAnswer) -> TokenSequence:
    if isinstance(answer, SampledAnswer):
        return TokenSequence(encoder.prompt(answer.prompt), answer.token_ids)
    return encoder.sequence(answer.prompt, answer.text, answer.finish_reason)


def _check_vocabulary(
    encoder: Encoder,
    vocabulary: dict[str, int],
    sequences: Sequence[TokenSequence],
    reference: Path,
) -> None:
    used = sorted({token for s in sequences for token in (*s.prompt, *s.answer)})
    for token, text in zip(used, encoder.tokenizer.convert_ids_to_tokens(used), strict=True):
        if vocabulary.get(text) != token:
            raise ModelError(
                f"{reference}: its token {text!r} is {vocabulary.get(text, 'missing')}, the "
                f"policy's is {token}; wanted two models of one vocabulary, or their "
                "log-probabilities cannot be compared"
            )


def _read_by(
    folder: Path,
    answers: Sequence[GivenAnswer],
    sequences: Sequence[TokenSequence],
    compute: Compute,
    progress: str,
) -> list[float]:
    model = load_model(folder, compute, dtype=torch.float32)
    limit = getattr(model.config, "max_position_embeddings", None)
    for answer, sequence in zip(answers, sequences, strict=True):
        if limit is not None and len(sequence) > limit:
            answer.row.fail(
                "response",
                f"found {len(sequence)} tokens with its prompt",
                f"at most {limit}, which is all that {folder} can read",
            )
    rows = score(model, sequences, token_budget=compute.score_tokens, progress=progress)
    return [math.fsum(row) for row in rows]
