"""Tool `sample`: a round's answers beside the base's."""

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spa.errors import InputError
from stages._context import Context, stage_context
from stages._terminal import plain

if TYPE_CHECKING:
    from spa.records import Prompt, Response

    Answer = Callable[[list[Prompt]], dict[str, list[Response]]]

Round = Annotated[
    int, typer.Option("--round", min=0, help="Round whose policy answers; 0 is the seed policy.")
]
Ask = Annotated[
    list[str] | None, typer.Option("--prompt", help="Question to answer; may be repeated.")
]
File = Annotated[
    Path | None,
    typer.Option("--file", help="File of prompts to answer: rows with `prompt`, in any format."),
]
Samples = Annotated[int, typer.Option(min=1, help="Answers per prompt from each policy.")]
Temperature = Annotated[
    float | None,
    typer.Option(min=0.001, help="Sampling temperature; by default evaluate.temperature."),
]
Length = Annotated[
    int | None,
    typer.Option(
        "--max-new-tokens",
        min=1,
        help="Tokens after which an answer is cut; by default evaluate.max_new_tokens.",
    ),
]
Seed = Annotated[int | None, typer.Option(help="Random seed; by default that of params.yaml.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main(
    round: Round,
    prompt: Ask = None,
    file: File = None,
    samples: Samples = 1,
    temperature: Temperature = None,
    max_new_tokens: Length = None,
    seed: Seed = None,
    as_json: Json = False,
) -> None:
    """Answer prompts with a round's policy and with the base, side by side.

    Without --prompt or --file, questions come from the terminal or from standard input, one per
    line. Both policies draw with the same random numbers, and the same call gives the same
    answers. Prompts without a system turn get `split.system`. Both models are in memory at once;
    nothing is written.
    """
    with stage_context(round or None, tool=True) as here:
        given = _given(here, prompt or [], file)
        typed = _typed(here) if given is None else iter(())
        settings = here.params.evaluate
        answer = _sampler(
            here,
            round,
            samples=samples,
            temperature=settings.temperature if temperature is None else temperature,
            max_new_tokens=max_new_tokens or settings.max_new_tokens,
            seed=here.params.seed if seed is None else seed,
        )
        if as_json:
            asked = given if given is not None else [*typed]
            _print_json(round, asked, answer(asked))
        elif given is not None:
            _print(given, answer(given))
        else:
            for one in typed:
                _print([one], answer([one]))


def _sampler(
    here: Context,
    round: int,
    *,
    samples: int,
    temperature: float,
    max_new_tokens: int,
    seed: int,
) -> "Answer":
    """Answers of both policies to prompts, `samples` in turn for each."""
    from spa.generation.responses import sample_responses
    from spa.generation.transformers_engine import TransformersEngine
    from spa.models import choose_generate_batch, load_policy, model_hash

    names = {"base": "base", f"round {round}": str(round)}
    folders = {title: here.layout.policy(name) for title, name in names.items()}
    policies = {title: load_policy(folder, here.compute) for title, folder in folders.items()}
    batch = choose_generate_batch(here.compute)

    def answer(prompts: "list[Prompt]") -> "dict[str, list[Response]]":
        return {
            title: sample_responses(
                TransformersEngine(
                    policy, temperature=temperature, max_new_tokens=max_new_tokens, batch=batch
                ),
                policy.encoder,
                prompts,
                samples=samples,
                seed=seed,
                names=("sample",),
                model=model_hash(folders[title]),
            )
            for title, policy in policies.items()
        }

    return answer


def _given(here: Context, questions: Iterable[str], file: Path | None) -> "list[Prompt] | None":
    """The prompts of the command line, each once; None where it has none."""
    from spa.importing.prompts import read_prompts

    asked = [_ask(here, "--prompt", *numbered) for numbered in enumerate(questions, 1)]
    if file is not None:
        asked += read_prompts(str(file), Path.cwd(), system=here.params.split.system)
    return list({prompt.prompt_id: prompt for prompt in asked}.values()) or None


def _ask(here: Context, place: str, number: int, question: str) -> "Prompt":
    from spa.importing.prompts import prompt_of
    from spa.importing.row import Row

    return prompt_of(Row(place, number, {"prompt": question}), here.params.split.system)


def _typed(here: Context) -> "Iterator[Prompt]":
    """Lines of the standard input that are not blank; a person is asked for each.

    Raises:
        InputError: what is piped in has none, which is seen before any model is loaded.
    """
    lines = _lines(here)
    if sys.stdin.isatty():
        return lines
    first = next(lines, None)
    if first is None:
        raise InputError(
            "standard input: found no question; wanted one per line, or --prompt or --file"
        )
    return chain([first], lines)


def _lines(here: Context) -> "Iterator[Prompt]":
    asking = sys.stdin.isatty()
    for number in count(1):
        if asking:
            print("question (empty line ends): ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if asking and not line:
            print(file=sys.stderr)  # the shell's prompt gets a line of its own
        if not line or (asking and not line.strip()):
            return
        if line.strip():
            yield _ask(here, "standard input", number, line.strip())


def _rows(prompts: "list[Prompt]", answers: "list[Response]") -> "Iterator[list[Response]]":
    each = len(answers) // len(prompts) if prompts else 0
    return (answers[i * each : (i + 1) * each] for i in range(len(prompts)))


def _print(prompts: "list[Prompt]", answers: "dict[str, list[Response]]") -> None:
    width = max(map(len, answers))
    for prompt, *own in zip(
        prompts, *(_rows(prompts, given) for given in answers.values()), strict=True
    ):
        print(plain(prompt.prompt[-1]["content"]))
        for title, given in zip(answers, own, strict=True):
            for one in given:
                end = "" if one.finish_reason == "stop" else " [cut]"
                print(f"  {title:<{width}}  {plain(one.text)}{end}")
        print(flush=True)


def _print_json(round: int, prompts: "list[Prompt]", answers: "dict[str, list[Response]]") -> None:
    import json

    rows: list[dict[str, Any]] = [
        {"policy": "base" if title == "base" else str(round), "prompt": one.prompt,
         "answer": one.text, "finish_reason": one.finish_reason, "tokens": len(one.token_ids),
         "sample": one.sample, "seed": one.seed}
        for title, given in answers.items()
        for one in given
    ]  # fmt: skip
    print(json.dumps({"round": round, "prompts": len(prompts), "answers": rows}))
