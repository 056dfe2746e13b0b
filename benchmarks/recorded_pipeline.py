"""A finished pipeline of any size without its models' work: real records, made-up answers.

`python benchmarks/recorded_pipeline.py FOLDER [PAIRS]` writes one and times `spa audit` on it.
Pools, scores, pairs, manifests and dvc.lock are made by the project's own functions; answers,
log-probabilities and policies are random. The tests of audit and lineage tamper with one.
"""

import json
import math
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

from spa.audit import audit
from spa.audit.hashes import Digests
from spa.dag import Stage, Tree, read_raw_params, read_stages
from spa.files import read_json, write_json
from spa.judging import make_pairs, make_scores
from spa.layout import Layout
from spa.manifest import policy_hash, write_manifest
from spa.param_files import load_params
from spa.params import Params, Train
from spa.raw_data import draw_pools, read_raw_data
from spa.records import (
    FlaggedPair,
    FlaggedSeedPair,
    JudgedPair,
    Pair,
    Prompt,
    Response,
    Score,
    TrainingRow,
    content_hash,
)
from spa.report import summary
from spa.schedule import make_batches, make_plan, rate_factor
from spa.seeds import derive_seed
from spa.tables import read_table, write_table
from spa.threshold import RollingThreshold

ROOT = Path(__file__).parents[1]
TOKENS = 48


def write_recorded(folder: Path, *, prompts: int, seed_pairs: int = 8, rounds: int = 2) -> Layout:
    """Write a finished pipeline.

    Args:
        folder: where.
        prompts: prompts of every round, each of which gives one pair.
        seed_pairs: labelled pairs of the seed; there are as many gold ones.
        rounds: how many rounds.
    """
    layout = Layout(folder)
    _write_inputs(folder, prompts, seed_pairs, rounds)
    params, stages = load_params(layout.params), read_stages(layout)
    make: dict[str, Callable[[Layout, Params, str], None]] = {
        "base": lambda at, _, name: _policy(at, "base"),
        "split": _pools,
        "seed": _train,
        "baseline": _evaluation,
        "evaluate_seed": _evaluation,
        "generate": _answers,
        "judge": judge,
        "filter": _filter,
        "train": _train,
        "evaluate": _evaluation,
        "calibrate": lambda at, _, name: write_json(at.calibration(name) / "metrics.json", {}),
        "rival": _rival,
        "report": _report,
    }
    # dvc.yaml names generate of all rounds before judge of any, but rounds follow each other
    done = [
        s
        for s in stages.values()
        if s.name in ("base", "split", "seed", "baseline", "evaluate_seed")
    ]
    done += [s for n in params.rounds for s in stages.values() if s.name.endswith(f"@{n}")]
    done += [stages["rival"], stages["report"]]
    for stage in done:
        make[stage.kind](layout, params, stage.round or "")
        write_manifest(layout, stage.name)
    write_lock(layout)
    return layout


def write_lock(layout: Layout) -> None:
    """Write dvc.lock for the files as they are, as `dvc commit` does."""
    tree, raw = Tree(layout.root), read_raw_params(layout)
    digests = Digests(layout, tree)
    stages = {s.name: _entry(s, digests, raw) for s in read_stages(layout).values()}
    text = yaml.dump({"schema": "2.0", "stages": stages}, Dumper=yaml.CSafeDumper, sort_keys=False)
    layout.dvc_lock.write_text(text, encoding="utf-8")


def _entry(stage: Stage, digests: Digests, raw: dict[str, Any]) -> dict[str, Any]:
    def recorded(path: str) -> dict[str, Any]:
        return {"path": path, **digests.dvc(path)}

    entry: dict[str, Any] = {"cmd": stage.cmd, "deps": [recorded(p) for p in sorted(stage.deps)]}
    if stage.params:
        entry["params"] = {"params.yaml": {key: _at(raw, key) for key in stage.params}}
    return entry | {"outs": [recorded(path) for path in sorted(stage.outs)]}


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def _write_inputs(folder: Path, prompts: int, seed_pairs: int, rounds: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("spa", "stages"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore, dirs_exist_ok=True)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["split"] |= {
        "source": "data/raw/pairs.jsonl", "prompts": "data/raw/prompts.jsonl",
        "seed_pairs": seed_pairs, "development": 4, "test": 8, "gold": seed_pairs,
    }  # fmt: skip
    params["generate"] |= {"samples": 2, "max_new_tokens": TOKENS}
    params["train"] |= {"batch_size": 4}
    params["filter"]["gates"]["chosen_longer"] |= {"action": "warn"}  # all answers are as long
    line = {"generate": {}, "judge": {}, "filter": {}, "train": {"lambda": 0.5}}
    params["rounds"] = {
        str(n): {"prev": str(n - 1), "prompts": prompts, **line} for n in range(1, rounds + 1)
    }
    text = json.dumps(params)  # JSON is YAML, and has no aliases
    (folder / "params.yaml").write_text(yaml.safe_dump(json.loads(text), sort_keys=False))
    raw = folder / "data" / "raw"
    (raw / "annotations").mkdir(parents=True, exist_ok=True)
    with (raw / "pairs.jsonl").open("w", encoding="utf-8") as file:
        for n in range(3 * seed_pairs):
            pair = {"prompt": f"Why {n}?", "chosen": f"Because {n}.", "rejected": f"So {n}."}
            file.write(json.dumps(pair) + "\n")
    with (raw / "prompts.jsonl").open("w", encoding="utf-8") as file:
        for n in range(prompts * rounds + 12):
            file.write(json.dumps({"prompt": f"What does number {n} mean to you?"}) + "\n")


def _policy(layout: Layout, name: str) -> None:
    folder = layout.policy(name)
    folder.mkdir(parents=True)
    weights = np.random.default_rng(derive_seed(0, name)).normal(size=64).astype(np.float32)
    save_file({"weight": weights}, folder / "model.safetensors")
    write_json(folder / "config.json", {"model_type": "made up"})


def _pools(layout: Layout, params: Params, _: str) -> None:
    pools = draw_pools(params, read_raw_data(layout, params.split))
    for name in ("seed", "gold", "hidden_gold"):
        write_table(layout.pool(name), getattr(pools, name), Pair)
    for name, rows in {
        "development": pools.development,
        "test": pools.test,
        **pools.rounds,
    }.items():
        write_table(layout.pool(name), rows, Prompt)
    earlier: list[Prompt] = []
    for name, questions in pools.rounds.items():
        write_table(layout.earlier(name), earlier, Prompt)
        earlier = [*earlier, *questions]
    for pairs in (0, "gold"):
        write_table(layout.flagged(pairs), [], FlaggedSeedPair)
    write_json(layout.flipped_seed, [])
    write_json(layout.reference_outputs, [])


def _answers(layout: Layout, params: Params, name: str) -> None:
    own = params.for_round(int(name))
    model, draw = (
        policy_hash(layout.policy(own.rounds[name].prev)),
        np.random.default_rng(int(name)),
    )
    answers = []
    for prompt in read_table(layout.pool(name), Prompt):
        for sample in range(own.generate.samples):
            seed = derive_seed(params.seed, "generate", int(name), prompt.prompt_id, sample)
            tokens = draw.integers(0, 50_000, TOKENS).tolist()
            logprobs = (-draw.random(TOKENS)).astype(np.float32).tolist()
            answers.append(
                Response(
                    response_id=content_hash(prompt.prompt_id, sample, seed, model, tokens),
                    prompt_id=prompt.prompt_id,
                    prompt=prompt.prompt,
                    sample=sample,
                    text=" ".join(f"word{t % 997}" for t in tokens),
                    token_ids=tokens,
                    finish_reason="length",
                    seed=seed,
                    model=model,
                    logprob=sum(logprobs),
                    token_logprobs=logprobs,
                )
            )
    write_table(layout.responses(name), answers, Response)


def judge(layout: Layout, params: Params, name: str) -> None:
    """All that `spa judge` does beside the models; the base's log-probabilities are made up."""
    own, number = params.for_round(int(name)), int(name)
    answers = read_table(layout.responses(name), Response)
    policy = [math.fsum(answer.token_logprobs) for answer in answers]
    base = (np.array(policy) + np.random.default_rng(number).normal(size=len(policy))).tolist()
    rewards = [p - b for p, b in zip(policy, base, strict=True)]
    scores = make_scores(answers, policy, base, rewards)
    pairs = make_pairs(
        answers, scores, own.judge, beta=own.train.beta, seed=params.seed, round=number
    )
    write_table(layout.scores(name), scores, Score)
    write_table(layout.pairs(name), pairs, JudgedPair)


def _filter(layout: Layout, params: Params, name: str) -> None:
    pairs = read_table(layout.pairs(name), JudgedPair)
    cut = [
        FlaggedPair(**pair.row(), reasons=["repetition:chosen"], action="drop")
        for pair in pairs[::7]
    ]
    dropped = {pair.pair_id for pair in cut}
    kept = [pair for pair in pairs if pair.pair_id not in dropped]
    write_table(layout.kept(name), kept, JudgedPair)
    write_table(layout.flagged(name), cut, FlaggedPair)
    counts = {"pairs": len(pairs), "kept": len(kept), "flagged": len(cut)}
    write_json(layout.checks(name), {**counts, "reasons": {"repetition:chosen": len(cut)}})


def _train(layout: Layout, params: Params, name: str) -> None:
    own = params.for_round(int(name)).train
    pairs: list[Any] = (
        read_table(layout.pool("seed"), Pair)
        if name == "0"
        else read_table(layout.kept(name), JudgedPair)
    )
    write_table(layout.training_log(name), _log(pairs, own, params.seed, int(name)), TrainingRow)
    _policy(layout, name)


def _log(pairs: list[Any], own: Train, seed: int, round: int) -> list[TrainingRow]:
    """A training's log with made-up margins, of which all else follows."""
    plan, draw = make_plan(len(pairs), own), np.random.default_rng(round)
    window = RollingThreshold(share=own.noise_share, window=own.noise_window)
    log: list[TrainingRow] = []
    for step, batch in enumerate(make_batches(len(pairs), own, seed=seed, round=round)):
        threshold, rows = window.value(), []
        for i, margin in zip(batch, draw.normal(size=len(batch)), strict=True):
            seen = 1.5 * margin if step >= plan.look else None
            confidence = 1 / (1 + math.exp(-(margin if seen is None else seen)))
            flagged = threshold is not None and confidence < threshold
            refined = flagged and step >= plan.gate and own.alpha > 0
            flip = own.alpha * refined
            rows.append(TrainingRow(
                step=step, pair_id=pairs[i].pair_id, margin=margin, extrapolated_margin=seen,
                loss=(1 - flip) * np.logaddexp(0, -margin) + flip * np.logaddexp(0, margin),
                confidence=confidence, threshold=threshold, flagged=flagged, refined=refined,
                learning_rate=own.learning_rate * rate_factor(step, plan.steps, own.warmup_share),
            ))  # fmt: skip
        if step >= max(plan.look, 1):
            window.add(row.confidence for row in rows)
        log += rows
    return log


def _evaluation(layout: Layout, params: Params, name: str) -> None:
    outputs = [
        {"dataset": pool, "prompt_id": row.prompt_id, "output": "An answer.", "generator": name}
        for pool in ("development", "test")
        for row in read_table(layout.pool(pool), Prompt)
    ]
    tested = [own for own in outputs if own["dataset"] == "test"]
    rows: list[dict[str, Any]] = [
        {"dataset": "test", "prompt_id": own["prompt_id"], "output_1": "Another answer.",
         "output_2": own["output"], "generator_2": name, "preference": 1 + n % 2}
        for n, own in enumerate(tested)
    ]  # fmt: skip
    wins = [row["preference"] - 1 for row in rows]
    write_json(layout.evaluation(name) / "outputs.json", outputs)
    write_json(layout.evaluation(name) / "annotations.json", rows)
    figures = {"round": name, "annotator": "rubric", "win_rate": sum(wins) / len(wins)}
    figures["development_win_rate"] = 0.5
    write_json(layout.evaluation(name) / "metrics.json", figures)


def _rival(layout: Layout, params: Params, name: str) -> None:
    _policy(layout, name)
    _evaluation(layout, params, name)


def _report(layout: Layout, params: Params, _: str) -> None:
    layout.report.mkdir(exist_ok=True)
    for out in read_stages(layout)["report"].outs:
        if out.startswith(f"{layout.show(layout.report)}/"):
            (layout.root / out).write_text(out)
    names = ["base", "0", *params.rounds, "rival"]
    rows = [read_json(layout.evaluation(own) / "metrics.json") for own in names]
    write_json(layout.report / "summary.json", summary(rows))


def main() -> None:
    """Write a pipeline of PAIRS pairs over two rounds (default 60,000) and time its audit."""
    folder, pairs = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60_000
    layout = write_recorded(folder, prompts=pairs // 2, seed_pairs=2000)
    start = time.perf_counter()
    found = audit(layout)
    took = time.perf_counter() - start
    result = {"pairs": found.pairs, "faults": len(found.findings.faults), "seconds": round(took, 1)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
