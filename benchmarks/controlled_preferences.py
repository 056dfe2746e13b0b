"""Study 1: SPA against its cheapest explanation, oracle and controls, on controlled preferences.

    python benchmarks/controlled_preferences.py prepare                # answers and their labels
    python benchmarks/controlled_preferences.py run --rubrics easy --arms spa random oracle
    python benchmarks/controlled_preferences.py table                  # docs/results.md

What it asks, of what, and how it is read: docs/studies.md. `prepare` and `run` write into the
pipeline that they are called in: call them in a clone of its own. `run` appends a line per
pipeline to benchmarks/results/controlled_preferences.jsonl as it finishes and skips those that
have one, so that a study that was stopped goes on.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

import study
import yaml

from spa.annotation.rubric_annotator import load_rubric
from spa.files import replace_file
from spa.generation.responses import sample_responses
from spa.generation.transformers_engine import TransformersEngine
from spa.importing import read_prompts
from spa.layout import Layout
from spa.models import load_policy, materialise
from spa.param_files import load_compute
from spa.params import Rubric
from spa.records import Response
from spa.seeds import rank_key

RESULTS = study.ROOT / "benchmarks" / "results" / "controlled_preferences.jsonl"
SYSTEM = "You are a helpful assistant. Keep your answers short."
PROMPTS = "data/raw/starter/prompts.jsonl"
SAMPLING_SEED, LABELLED, SAMPLES, APART = 20260102, 256, 4, 0.15
RUBRICS = ("easy", "short", "long")
SEEDS = (101, 102, 103)
BOTH = ("1", "2")
_KEYS = ("scores", "wins")


def _rounds(**train: Any) -> dict[str, Any]:
    return {"rounds": {name: {"train": train} for name in BOTH}}


ARMS: dict[str, dict[str, Any]] = {
    "spa": {},
    "random": {"judge": {"method": "random"}},
    "oracle": {"judge": {"method": "rubric"}},
    "inverted": {"judge": {"method": "inverted"}},
    "likelihood": {"judge": {"method": "likelihood"}},
    "shorter": {"judge": {"length_penalty": 1000.0}},
    "previous": {"judge": {"reference": "previous"}},
    "no_noise_handling": {"train": {"alpha": 0.0}},
    "no_extrapolation": _rounds(**{"lambda": 0.0}),
    "seed_steps": {"train": {"seed_epochs": 3}},
}
"""What each arm changes of the setting; `seed_steps` is its round 0, 21 steps on the seed."""

SETTING: dict[str, Any] = {
    "split": {
        "prompts": PROMPTS, "system": SYSTEM, "seed_pairs": 60, "gold": 100, "development": 40,
        "test": 200,
    },
    "generate": {"temperature": 1.0},
    "train": {"learning_rate": 6.0e-6},
    **_rounds(learning_rate=6.0e-6),
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
    best, worst = answers[scores.index(max(scores))], answers[scores.index(min(scores))]
    if max(scores) - min(scores) < APART:
        return None
    return {
        "prompt": best.prompt[-1]["content"],
        "chosen": best.text,
        "rejected": worst.text,
        "chosen_finish_reason": best.finish_reason,
        "rejected_finish_reason": worst.finish_reason,
    }


def _rubric(name: str) -> Rubric:
    return Rubric(file=f"benchmarks/rubrics/{name}.py", function="score")


def run(layout: Layout, rubrics: Sequence[str], arms: Sequence[str], seeds: Sequence[int]) -> None:
    """Run every pipeline that has no result yet; arms of one seed share its round 0."""
    done = {(r["rubric"], r["seed"], r["arm"]) for r in study.read_results(RESULTS)}
    starter = yaml.safe_load((study.ROOT / "presets" / "starter.yaml").read_text(encoding="utf-8"))
    for rubric in rubrics:
        for seed in seeds:
            for arm in arms:
                if (rubric, seed, arm) not in done:
                    row = _run(layout, starter, rubric, arm, seed)
                    study.append(RESULTS, {"rubric": rubric, "seed": seed, "arm": arm, **row})


def _run(
    layout: Layout, starter: Mapping[str, Any], rubric: str, arm: str, seed: int
) -> dict[str, Any]:
    own = {
        "seed": seed,
        "rubric": _rubric(rubric).model_dump(),
        "split": {"source": f"data/raw/study/{rubric}.jsonl"},
    }
    params = study.merged(study.merged(study.merged(starter, SETTING), own), ARMS[arm])
    if arm == "seed_steps":
        study.reproduce(layout, params, ["evaluate_seed"])
        return {"policies": {"0": study.outcomes(layout, "0")}, "judged": {}}
    study.reproduce(layout, params)
    return {
        "policies": {n: study.outcomes(layout, n) for n in ("base", "0", *BOTH, "rival")},
        "judged": {n: study.judged(layout, n) for n in BOTH},
    }


Row = dict[str, Any]


def table() -> str:
    """All results so far as Markdown, one part per rubric."""
    parts = []
    for rubric in RUBRICS:
        rows = [row for row in study.read_results(RESULTS) if row["rubric"] == rubric]
        if rows:
            arms = {arm: _by_seed(rows, arm) for arm in ARMS if _by_seed(rows, arm)}
            parts += [f"## Rubric `{rubric}`", *_headline(arms), _gains(arms), _judges(arms)]
            parts.append(_policies(arms))
    return "\n\n".join(parts) + "\n"


def _by_seed(rows: Sequence[Row], arm: str) -> dict[int, Row]:
    return {row["seed"]: row for row in rows if row["arm"] == arm}


def _scores(row: Row, policy: str, key: str = "scores", pool: str = "test") -> list[float]:
    found: list[float] = row["policies"][policy][pool][key]
    return found


def _differences(
    first: Mapping[int, list[float]], second: Mapping[int, list[float]]
) -> list[list[float]]:
    """first - second, prompt by prompt, for every seed that has both."""
    seeds = sorted(set(first) & set(second))
    return [[a - b for a, b in zip(first[s], second[s], strict=True)] for s in seeds]


def _outcome(arms: Mapping[str, dict[int, Row]], arm: str, policy: str, key: str) -> dict[int, Any]:
    return {seed: _scores(row, policy, key) for seed, row in arms.get(arm, {}).items()}


def _cheapest(arms: Mapping[str, dict[int, Row]], key: str) -> dict[int, list[float]]:
    """Per seed, of the rival and the seed alone with as many steps, the better on development."""
    found = {}
    for seed, row in arms.get("spa", {}).items():
        longer = arms.get("seed_steps", {}).get(seed)
        if longer is not None:
            options = [(row, "rival"), (longer, "0")]
            best = max(options, key=lambda option: _development(*option))
            found[seed] = _scores(*best, key)
    return found


def _development(row: Row, policy: str) -> float:
    scores = _scores(row, policy, pool="development")
    return sum(scores) / len(scores)


def _headline(arms: Mapping[str, dict[int, Row]]) -> list[str]:
    """SPA's last round against its cheapest explanation; and what oracle labels leave."""
    body = []
    for key, name in (("scores", "rubric score"), ("wins", "win rate over the base")):
        ours = _outcome(arms, "spa", "2", key)
        for other, theirs in (
            ("the better of rival and more seed steps", _cheapest(arms, key)),
            ("rival (amplified seed)", _outcome(arms, "spa", "rival", key)),
            ("seed alone, as many steps", _outcome(arms, "seed_steps", "0", key)),
            ("oracle labels", _outcome(arms, "oracle", "2", key)),
            ("random labels", _outcome(arms, "random", "2", key)),
        ):
            differences = _differences(ours, theirs)
            if differences:
                interval, p = study.over_seeds(differences)
                cells = [str(len(differences)), str(interval.n), study.percent(interval)]
                body.append([name, other, *cells, f"{p:.4f}"])
    if not body:
        return []
    header = ["of", "SPA, round 2, against", "seeds", "n", "difference, points", "p"]
    return [study.markdown("SPA against its cheapest explanation", header, body)]


def _gains(arms: Mapping[str, dict[int, Row]]) -> str:
    """Every arm's last policy against the seed policy that it started from."""
    gains = {}
    for arm in arms:
        if arm == "seed_steps":
            pairs = [(_outcome(arms, arm, "0", k), _outcome(arms, "spa", "0", k)) for k in _KEYS]
        else:
            pairs = [(_outcome(arms, arm, "2", k), _outcome(arms, arm, "0", k)) for k in _KEYS]
        found = [_differences(*pair) for pair in pairs]
        if found[0]:
            gains[arm] = [study.over_seeds(differences) for differences in found]
    adjusted = study.holm({arm: found[0][1] for arm, found in gains.items()})
    body = [
        [arm, *(study.percent(interval) for interval, _ in found), f"{adjusted[arm]:.4f}"]
        for arm, found in gains.items()
    ]
    header = ["arm", "rubric score", "win rate over the base", "p (score, Holm)"]
    return study.markdown("Gain over the seed policy after two rounds, points", header, body)


def _judges(arms: Mapping[str, dict[int, Row]]) -> str:
    """How often each arm's labels are right, beside what other judges say of the same pairs."""
    body = []
    for arm, by_seed in arms.items():
        for round in BOTH:
            pairs = [p for row in by_seed.values() for p in row["judged"].get(round, [])]
            decided = [p for p in pairs if p["gold"] != 0.5]
            if decided:
                right = sum(p["gold"] > 0.5 for p in decided) / len(decided)
                peers = [study.share_right(decided, judge) for judge in ("likelihood", "length")]
                body.append(
                    [arm, round, str(len(decided)), *(f"{100 * x:.1f}" for x in (right, *peers))]
                )
    header = ["arm", "round", "pairs", "labels right, %", "likelihood, %", "shorter, %"]
    return study.markdown("Labels of the rounds against the rubric, seeds pooled", header, body)


def _policies(arms: Mapping[str, dict[int, Row]]) -> str:
    """Means over seeds of every policy's figures."""
    keys = ("gold_reward", "win_rate", "kl_to_base", "mean_tokens", "finished", "heldout_accuracy")
    body = []
    for arm, by_seed in arms.items():
        for policy in ("base", "0", *BOTH, "rival"):
            rows = [r["policies"][policy] for r in by_seed.values() if policy in r["policies"]]
            shared = arm not in ("spa", "seed_steps") and policy in ("base", "0", "rival")
            if rows and not shared:
                means = [[row[key] for row in rows if key in row] for key in keys]
                cells = [f"{sum(values) / len(values):.3f}" if values else "-" for values in means]
                body.append([arm, policy, str(len(rows)), *cells])
    header = ["arm", "policy", "seeds", "score", "win rate", "KL", "tokens", "finished", "held-out"]
    return study.markdown("Every policy on the test prompts, mean over seeds", header, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="sample the base's answers and label them (minutes)")
    running = commands.add_parser("run", help="run the pipelines (hours)")
    running.add_argument("--rubrics", nargs="+", choices=RUBRICS, default=RUBRICS)
    running.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=tuple(ARMS))
    running.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    commands.add_parser("table", help="print the tables")
    arguments = parser.parse_args()
    match arguments.command:
        case "prepare":
            prepare(Layout.find())
        case "run":
            run(Layout.find(), arguments.rubrics, arguments.arms, arguments.seeds)
        case "table":
            print(table(), end="")


if __name__ == "__main__":
    main()
