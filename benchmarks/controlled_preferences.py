"""Study 1: SPA against its cheapest explanation, oracle and controls, on controlled preferences.

    python benchmarks/controlled_preferences.py prepare                # answers and their labels
    python benchmarks/controlled_preferences.py run --rubrics easy --arms spa random oracle
    python benchmarks/controlled_preferences.py run --rubrics easy --seeds 106 --at-once 2
    python benchmarks/controlled_preferences.py table                  # docs/results.md

What it asks, of what, and how it is read: docs/studies.md. `prepare` and `run` write into the
pipeline that they are called in: call them in a clone of its own. `run` appends a line per
pipeline to benchmarks/results/controlled_preferences.jsonl as it finishes and skips those that
have one, so that a study that was stopped goes on. With `--at-once N` what the arms of a seed share
is run once, then N arms at a time, each in a copy of the pipeline (some 5 GB while it runs).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import study
import yaml
from controlled_tables import BOTH, WITHOUT_ROUNDS, tables

from spa.annotation.rubric_annotator import load_rubric
from spa.files import replace_file
from spa.generation.responses import sample_responses
from spa.generation.transformers_engine import TransformersEngine
from spa.importing.prompts import read_prompts
from spa.layout import Layout
from spa.models import load_policy
from spa.param_files import load_compute
from spa.params import Rubric
from spa.preference import best_against_worst
from spa.records import Response
from spa.seeds import rank_key
from spa.sources import materialise

RESULTS = study.ROOT / "benchmarks" / "results" / "controlled_preferences.jsonl"
SYSTEM = "You are a helpful assistant. Keep your answers short."
PROMPTS = "data/raw/starter/prompts.jsonl"
SAMPLING_SEED, LABELLED, SAMPLES, APART = 20260102, 256, 4, 0.15
RUBRICS = ("easy", "short", "long")
ABOUT_LENGTH = ("short", "long")
"""Rubrics that want a length: of their pairs nearly all chosen answers are longer, or none."""
LENGTH_WARNS = {"filter": {"gates": {"chosen_longer": {"action": "warn"}}}}
"""For them, and for judges that choose by length, which the gate on length would stop."""
SEEDS = (101, 102, 103)


def _rounds(**train: Any) -> dict[str, Any]:
    return {"rounds": {name: {"train": train} for name in BOTH}}


ARMS: dict[str, dict[str, Any]] = {
    "spa": {},
    "random": {"judge": {"method": "random"}},
    "oracle": {"judge": {"method": "rubric"}},
    "inverted": {"judge": {"method": "inverted"}},
    "likelihood": {"judge": {"method": "likelihood"}, **LENGTH_WARNS},
    "shorter": {"judge": {"length_penalty": 1000.0}, **LENGTH_WARNS},
    "previous": {"judge": {"reference": "previous"}},
    "no_noise_handling": {"train": {"alpha": 0.0}},
    "no_extrapolation": _rounds(**{"lambda": 0.0}),
    "from_rival": {"rounds": {"1": {"prev": "rival"}}},
    "more_answers": {"generate": {"samples": 8}},
    "more_prompts": {"rounds": {name: {"prompts": 128} for name in BOTH}},
    "seed_steps": {"train": {"seed_epochs": 3}},
    "supervised": {"train": {"seed_epochs": 3, "nll_weight": 1000.0}},
    "far_rival": {"rival": {"gammas": [8.0, 12.0, 16.0, 24.0]}},
}
"""What each arm changes of the setting."""
POLICIES = ("base", "0", *BOTH, "rival")
"""Those whose outcomes make a row."""
READ = (
    "evaluate_seed",
    "rival",
    *(f"{stage}@{name}" for stage in ("calibrate", "evaluate") for name in BOTH),
)
"""The stages whose outputs are read; the rest of the pipeline is no part of the study."""
SHARED = ("rival", "evaluate_seed", "generate@1")
"""What the arms of a seed have in common, and what that needs."""

SETTING: dict[str, Any] = {
    "split": {
        "prompts": PROMPTS, "system": SYSTEM, "seed_pairs": 60, "gold": 100, "development": 40,
        "test": 200,
    },
    "generate": {"temperature": 1.0},
    "train": {"learning_rate": 6.0e-6},
    "rival": {"gammas": [2.0, 4.0, 8.0]},
    **_rounds(learning_rate=6.0e-6, nll_weight=0.0),
}  # fmt: skip


def prepare(layout: Layout) -> None:
    """Sample the base's answers to LABELLED questions; each rubric labels the same answers."""
    params = yaml.safe_load((study.ROOT / "presets" / "starter.yaml").read_text(encoding="utf-8"))
    base = layout.cache / "study-base"
    if not base.exists():
        base.mkdir(parents=True)
        materialise(params["base"]["source"], base, root=layout.root)
    compute = load_compute(layout.compute)
    policy = load_policy(base, compute)
    engine = TransformersEngine(policy, temperature=1.0, max_new_tokens=64, batch=64)
    prompts = read_prompts(PROMPTS, layout.root, system=SYSTEM)
    prompts.sort(key=lambda prompt: rank_key(SAMPLING_SEED, prompt.prompt[-1]["content"]))
    responses = sample_responses(
        engine,
        policy.encoder,
        prompts[:LABELLED],
        samples=SAMPLES,
        seed=SAMPLING_SEED,
        names=("study",),
        model="base",
    )
    groups = [responses[i : i + SAMPLES] for i in range(0, len(responses), SAMPLES)]
    for rubric in RUBRICS:
        pairs = [pair for pair in (_pair(rubric, group) for group in groups) if pair]
        file = layout.raw / "study" / f"{rubric}.jsonl"
        with replace_file(file) as out:
            lines = [json.dumps(pair, ensure_ascii=False) for pair in pairs]
            out.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{layout.show(file)}: {len(pairs)} pairs from {len(groups)} questions")


def _pair(rubric: str, answers: Sequence[Response]) -> dict[str, str] | None:
    """The best against the worst of a question's answers, where they are far enough apart."""
    annotator = load_rubric(_rubric(rubric), study.ROOT)
    scores = annotator.rate([(r.prompt, study.answer(r)) for r in answers])
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


def _rubric(name: str) -> Rubric:
    return Rubric(file=f"benchmarks/rubrics/{name}.py", function="score")


def run(
    layout: Layout, rubrics: Sequence[str], arms: Sequence[str], seeds: Sequence[int], at_once: int
) -> None:
    """Run every pipeline that has no result yet; arms of one seed share its round 0."""
    done = {(r["rubric"], r["seed"], r["arm"]) for r in study.read_results(RESULTS)}
    starter = yaml.safe_load((study.ROOT / "presets" / "starter.yaml").read_text(encoding="utf-8"))
    for rubric in rubrics:
        for seed in seeds:
            left = [arm for arm in arms if (rubric, seed, arm) not in done]
            if at_once > 1 and left:
                study.reproduce(layout, settings(starter, rubric, "spa", seed), SHARED)
                with ThreadPoolExecutor(at_once) as pool:
                    work = [pool.submit(_in_a_copy, layout, rubric, a, seed, at_once) for a in left]
                for each in work:  # when all have ended: one that fails stops no other
                    each.result()
                continue
            for arm in left:
                row = _run(layout, starter, rubric, arm, seed)
                study.append(RESULTS, {"rubric": rubric, "seed": seed, "arm": arm, **row})


def _in_a_copy(layout: Layout, rubric: str, arm: str, seed: int, at_once: int) -> None:
    """One arm in a copy of the pipeline, with its share of the cores, and what is asked further."""
    asked = ["--rubrics", rubric, "--arms", arm, "--seeds", str(seed)]
    commands = [[__file__, "run", *asked]]
    if arm == "spa":
        commands.append(
            [str(Path(__file__).with_name("controlled_further.py")), "run", "--rubric", rubric]
        )
    threads = str(max(1, (os.cpu_count() or 1) // at_once))
    with tempfile.TemporaryDirectory(prefix="study-", dir=layout.root.parent) as scratch:
        copy = Path(scratch) / "pipeline"
        shutil.copytree(layout.root, copy, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
        for command in commands:
            subprocess.run(
                [sys.executable, *command],
                cwd=copy,
                env={**os.environ, "OMP_NUM_THREADS": threads},
                check=True,
            )


def settings(starter: Mapping[str, Any], rubric: str, arm: str, seed: int) -> dict[str, Any]:
    """The params of one pipeline: the starter's, the study's setting over them, then the arm's."""
    own = {
        "seed": seed,
        "rubric": _rubric(rubric).model_dump(),
        "split": {"source": f"data/raw/study/{rubric}.jsonl"},
    }
    if rubric in ABOUT_LENGTH:
        own |= LENGTH_WARNS
    return study.merged(study.merged(study.merged(starter, SETTING), own), ARMS[arm])


def _run(
    layout: Layout, starter: Mapping[str, Any], rubric: str, arm: str, seed: int
) -> dict[str, Any]:
    params = settings(starter, rubric, arm, seed)
    if arm in WITHOUT_ROUNDS:
        name = WITHOUT_ROUNDS[arm]
        study.reproduce(layout, params, ["rival" if name == "rival" else "evaluate_seed"])
        return {"policies": {name: study.outcomes(layout, name)}, "judged": {}}
    study.reproduce(layout, params, READ)
    return {
        "policies": {n: study.outcomes(layout, n) for n in POLICIES},
        "judged": {n: study.judged(layout, n) for n in BOTH},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="sample the base's answers and label them (minutes)")
    running = commands.add_parser("run", help="run the pipelines (hours)")
    running.add_argument("--rubrics", nargs="+", choices=RUBRICS, default=RUBRICS)
    running.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=tuple(ARMS))
    running.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    running.add_argument("--at-once", type=int, default=1, metavar="N", help="arms at a time")
    printing = commands.add_parser("table", help="print the tables")
    printing.add_argument("--seeds", type=int, nargs="+", help="of these alone; by default of all")
    arguments = parser.parse_args()
    match arguments.command:
        case "prepare":
            prepare(Layout.find())
        case "run":
            run(
                Layout.find(), arguments.rubrics, arguments.arms, arguments.seeds, arguments.at_once
            )
        case "table":
            rows = study.read_results(RESULTS)
            own = [row for row in rows if row["seed"] in (arguments.seeds or [row["seed"]])]
            print(tables(own, RUBRICS, tuple(ARMS)), end="")


if __name__ == "__main__":
    main()
