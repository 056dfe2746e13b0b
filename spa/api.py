"""SPA's parts for a program or notebook of one's own: pairs, policies, rewards, labels.

    import spa

    pairs = spa.load_pairs("pairs.csv")
    rewards = spa.score([("Why does bread rise?", "Yeast makes gas.")], policy, reference)
    labelled = spa.judge([("Why?", ["Yeast makes gas.", "Magic."])], policy, reference)

Everything here is a name of `spa` as well, loaded when it is first used. The pipeline, with its
rounds, records and controls, is `dvc repro` and the commands.
"""

from collections.abc import Sequence
from pathlib import Path

from spa import models
from spa.answers import AnswerScore, SampledAnswer, score_answers
from spa.compute import Compute
from spa.generation.responses import sample_responses
from spa.generation.transformers_engine import TransformersEngine
from spa.importing.answers import GivenAnswer
from spa.importing.pairs import read_pairs
from spa.importing.prompts import prompt_of
from spa.importing.row import Row
from spa.models import Policy
from spa.preference import best_against_worst, preference_probability
from spa.records import (
    FinishReason,
    JudgedPair,
    Message,
    Pair,
    Prompt,
    Response,
    content_hash,
    pair_hash,
)

Ask = str | Sequence[Message] | Sequence[dict[str, str]]
"""A prompt: the text of one user turn, or a conversation."""
Device = str | None
"""`cpu`, `cuda`, `cuda:1` or `mps`."""


def load_pairs(source: str | Path, *, system: str | None = None) -> list[Pair]:
    """Read preference pairs of any format that the pipeline reads (docs/data.md), each once.

    Args:
        source: a file, a folder of files, or a Hub dataset with its commit, `org/name@commit`.
        system: a system turn for every prompt that has none.

    Raises:
        InputError: names file, row and field.
    """
    return read_pairs(str(source), Path.cwd(), system=system).pairs


def load_policy(folder: str | Path, *, device: Device = None) -> Policy:
    """Load a model folder with its tokenizer, in evaluation mode; only safetensors are loaded.

    Args:
        folder: such as `data/round-2/policy`, or any causal language model with a chat template.
        device: by default the best there is.

    Raises:
        ModelError: the folder cannot be read, or its tokenizer has no chat template.
    """
    return models.load_policy(Path(folder), Compute(device=device))


def sample(
    prompts: Sequence[Ask],
    policy: str | Path,
    *,
    samples: int = 4,
    temperature: float = 0.7,
    max_new_tokens: int = 300,
    seed: int = 0,
    device: Device = None,
) -> list[Response]:
    """Sample answers; equal arguments give equal answers, whatever the batch.

    Returns:
        `samples` responses a prompt, in order: text, token ids, finish reason, and the sum of the
        tokens' log-probabilities in nats at temperature 1.

    Raises:
        InputError: a prompt is empty or no conversation.
        ModelError: as `load_policy`.
    """
    own = load_policy(policy, device=device)
    batch = models.choose_generate_batch(Compute(device=device))
    engine = TransformersEngine(
        own, temperature=temperature, max_new_tokens=max_new_tokens, batch=batch
    )
    asked = [_prompt(number, prompt) for number, prompt in enumerate(prompts, 1)]
    return sample_responses(
        engine, own.encoder, asked, samples=samples, seed=seed, names=("sample",),
        model=models.model_hash(Path(policy)),
    )  # fmt: skip


def score(
    answers: Sequence[tuple[Ask, str] | Response],
    policy: str | Path,
    reference: str | Path,
    *,
    device: Device = None,
) -> list[AnswerScore]:
    """SPA's implicit reward of answers, log pi(y|x) - log pi_ref(y|x), in nats (SPA, Eq. 7).

    Args:
        answers: each a prompt and a finished answer to it, or one that `sample` gave, which is
            read by its own tokens and without an end of turn where it was cut. Nothing is cut here.
        policy: folder of the model whose reward is asked for.
        reference: folder of the model it is compared with, of the same vocabulary.
        device: by default the best there is.

    Returns:
        One score an answer, in order; both models read in float32, one in memory at a time.

    Raises:
        InputError: a prompt is empty, or an answer longer than a model can read.
        ModelError: a folder cannot be read, or the models number their tokens differently.
    """
    given = [_given(number, answer) for number, answer in enumerate(answers, 1)]
    return score_answers(given, Path(policy), Path(reference), Compute(device=device))


def judge(
    questions: Sequence[tuple[Ask, Sequence[str | Response]]],
    policy: str | Path,
    reference: str | Path,
    *,
    beta: float = 0.1,
    tie_band: float = 1e-3,
    device: Device = None,
) -> list[JudgedPair]:
    """Label answers by the implicit reward: of each prompt's, the best against the worst.

    Args:
        questions: each a prompt and two or more answers to it: finished texts, or what `sample`
            gave for this prompt.
        policy: as for `score`.
        reference: as for `score`.
        beta: scale of the probability (SPA, Eq. 7); no label depends on it.
        tie_band: answers whose rewards differ by no more than this many nats make no pair.
        device: by default the best there is.

    Returns:
        At most one pair a prompt, in order; `margin` is the difference of rewards, in nats.

    Raises:
        InputError: as `score`, or a sampled answer is one to another prompt.
        ModelError: as `score`.
    """
    flat = [
        _asked(number, prompt, answer)
        for number, (prompt, answers) in enumerate(questions, 1)
        for answer in answers
    ]
    rewards = iter([s.reward for s in score(flat, policy, reference, device=device)])
    pairs = []
    for number, (prompt, answers) in enumerate(questions, 1):
        own = [next(rewards) for _ in answers]
        choice = best_against_worst(own, tie_band=tie_band) if len(own) > 1 else None
        if choice:
            chosen, rejected = answers[choice.chosen], answers[choice.rejected]
            asked = _prompt(number, prompt)
            pairs.append(_pair(asked, chosen, rejected, choice.margin, beta))
    return pairs


def _asked(number: int, prompt: Ask, answer: str | Response) -> tuple[Ask, str] | Response:
    """An answer with the prompt that it answers; a sampled one knows its own."""
    if isinstance(answer, str):
        return prompt, answer
    asked = _prompt(number, prompt)
    if answer.prompt_id != asked.prompt_id:
        row = Row("questions", number, {"response": answer.text})
        row.fail("response", "found an answer sampled for another prompt", "one to this prompt")
    return answer


def _given(number: int, answer: tuple[Ask, str] | Response) -> GivenAnswer:
    if isinstance(answer, Response):
        row = Row("answers", number, {"response": answer.text})
        return SampledAnswer(
            answer.prompt, answer.text, answer.finish_reason, row, answer.token_ids
        )
    prompt, text = answer
    row = Row("answers", number, {"prompt": prompt, "response": text})
    return GivenAnswer(_prompt(number, prompt).prompt, text, "stop", row)


def _pair(
    prompt: Prompt, chosen: str | Response, rejected: str | Response, margin: float, beta: float
) -> JudgedPair:
    better, better_end, better_id = _facts(prompt, chosen)
    worse, worse_end, worse_id = _facts(prompt, rejected)
    return JudgedPair(
        pair_id=pair_hash(prompt.prompt, better, worse),
        prompt_id=prompt.prompt_id,
        prompt=prompt.prompt,
        chosen=better,
        rejected=worse,
        chosen_finish_reason=better_end,
        rejected_finish_reason=worse_end,
        chosen_id=better_id,
        rejected_id=worse_id,
        margin=margin,
        probability=preference_probability(margin, beta=beta),
        method="implicit",
    )


def _facts(prompt: Prompt, answer: str | Response) -> tuple[str, FinishReason, str]:
    """An answer's text, how it ended, and its id."""
    if isinstance(answer, Response):
        return answer.text, answer.finish_reason, answer.response_id
    return answer, "stop", content_hash(prompt.prompt_id, answer)


def _prompt(number: int, prompt: Ask) -> Prompt:
    turns = prompt if isinstance(prompt, str) else list(prompt)
    return prompt_of(Row("prompts", number, {"prompt": turns}))
