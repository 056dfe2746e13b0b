"""A finished pipeline of any size without its models' work: real records, made-up answers.

`python benchmarks/recorded_pipeline.py FOLDER [PAIRS]` writes one and times `spa audit` on it.
Pools, scores, pairs, manifests and dvc.lock are made by the project's own functions; answers,
log-probabilities and policies are random. The tests of audit and lineage tamper with one.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import recorded_outputs as outputs
import yaml

from spa.audit import audit
from spa.audit.hashes import Digests
from spa.dag import Stage, Tree, read_raw_params, read_stages
from spa.files import write_json
from spa.layout import Layout
from spa.manifest import write_manifest
from spa.param_files import load_params
from spa.params import Params

ROOT = Path(__file__).parents[1]


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
        "base": lambda at, _, name: outputs.policy(at, "base"),
        "split": outputs.split,
        "seed": outputs.train,
        "baseline": outputs.evaluate,
        "evaluate_seed": outputs.evaluate,
        "generate": outputs.generate,
        "judge": outputs.judge,
        "filter": outputs.filter_pairs,
        "train": outputs.train,
        "evaluate": outputs.evaluate,
        "calibrate": lambda at, _, name: write_json(at.calibration(name) / "metrics.json", {}),
        "rival": outputs.rival,
        "report": outputs.report,
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
    params["generate"] |= {"samples": 2, "max_new_tokens": outputs.TOKENS}
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
