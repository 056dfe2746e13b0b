"""How data/raw/starter/pairs.jsonl was made: the base's own answers, labelled by the rubric.

Samples four answers to each of the first LABELLED questions (in a seeded order), as the rounds
sample theirs (`generate` in params.yaml), and keeps the best against the worst by the rubric,
where they are more than two points of 10 apart: at one point, or at temperature 1, more of the
rejected answers are junk, and the seed learns to avoid junk in place of the style. Ties go to
the earlier sample. The base answers in float64, so that other machines and matrix libraries,
which round differently, draw the same answers. About half an hour on two cores:
`python data/make_starter.py`.
"""

import json
from pathlib import Path

import torch

from spa.annotation.rubric import rubric_score
from spa.files import replace_file, replace_folder
from spa.generation.responses import sample_responses
from spa.generation.transformers_engine import TransformersEngine
from spa.importing.prompts import read_prompts
from spa.layout import Layout
from spa.models import load_policy
from spa.param_files import load_compute, load_params
from spa.preference import best_against_worst
from spa.records import Prompt, Response
from spa.seeds import rank_key
from spa.sources import materialise

SEED = 20260101
LABELLED = 448
GROUP = 16
APART = 0.2


def main() -> None:
    layout = Layout.find(Path(__file__).parent)
    params, compute = load_params(layout.params), load_compute(layout.compute)
    base = layout.cache / "starter-base"
    if not base.exists():
        with replace_folder(base) as folder:
            materialise(params.base.source, folder, root=layout.root)
    policy = load_policy(base, compute, dtype=torch.float64)
    samples = params.generate.samples
    engine = TransformersEngine(
        policy,
        temperature=params.generate.temperature,
        max_new_tokens=params.generate.max_new_tokens,
        batch=GROUP * samples,
    )
    starter = layout.raw / "starter"
    questions = _questions(starter / "prompts.jsonl", params.split.system)
    responses: list[Response] = []
    for start in range(0, len(questions), GROUP):
        responses += sample_responses(
            engine,
            policy.encoder,
            questions[start : start + GROUP],
            samples=samples,
            seed=SEED,
            names=("starter",),
            model="base",
        )
        print(f"{start + GROUP} of {len(questions)} questions", flush=True)
    groups = [responses[i : i + samples] for i in range(0, len(responses), samples)]
    pairs = [pair for pair in map(_pair, groups) if pair]
    with replace_file(starter / "pairs.jsonl") as file:
        lines = [json.dumps(pair, ensure_ascii=False) for pair in pairs]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(pairs)} pairs from {len(groups)} questions")


def _questions(file: Path, system: str | None) -> list[Prompt]:
    prompts = read_prompts(str(file), file.parent, system=system)
    prompts.sort(key=lambda prompt: rank_key(SEED, prompt.prompt[-1]["content"]))
    return prompts[:LABELLED]


def _pair(answers: list[Response]) -> dict[str, str] | None:
    scores = [rubric_score(r.prompt[-1]["content"], r.text, r.finish_reason) for r in answers]
    choice = best_against_worst(scores, tie_band=APART)
    if choice is None:
        return None
    best, worst = answers[choice.chosen], answers[choice.rejected]
    return {
        "prompt": best.prompt[-1]["content"],
        "chosen": best.text,
        "rejected": worst.text,
        "chosen_finish_reason": best.finish_reason,
        "rejected_finish_reason": worst.finish_reason,
    }


if __name__ == "__main__":
    main()
