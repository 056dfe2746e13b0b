"""params.yaml, compute.yaml and dvc.yaml, and the files that they name."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

from spa import code_lock
from spa.annotation.rubric_annotator import load_rubric
from spa.compute import Compute
from spa.dag import Stage, read_lock, read_stages
from spa.doctor.finding import Finding, fault, faults_or_ok, ok
from spa.errors import SpaError
from spa.importing.annotations import read_annotations
from spa.layout import Layout
from spa.leaderboard import open_annotator
from spa.param_files import load_compute
from spa.params import Params
from spa.presets import open_pins
from spa.regression_data import read_regression_data
from spa.schedule import make_plan
from spa.winrate import INSTRUCTIONS


def check_compute(layout: Layout) -> tuple[Compute, list[Finding]]:
    """compute.yaml; where it is wrong, what would be found out stands in its place."""
    try:
        compute = load_compute(layout.compute)
    except SpaError as error:
        return Compute(), [fault("compute", error)]
    return compute, [ok("compute", "compute.yaml is valid, or absent")]


def check_steps(params: Params) -> list[Finding]:
    """Every round has enough prompts for one step and for what the filter must keep."""
    wanted = {"split.seed_pairs": (0, params.split.seed_pairs)} if not params.base.policy else {}
    wanted |= {f"rounds.{n}.prompts": (int(n), r.prompts) for n, r in params.rounds.items()}
    found: list[str] = []
    for key, (round, pairs) in wanted.items():
        own = params.for_round(round)
        try:
            make_plan(pairs, own.train)
        except SpaError as error:
            found.append(f"{key}: {error}")
        if round and pairs < own.filter.min_kept:
            found.append(
                f"{key}: found {pairs}, wanted at least filter.min_kept = {own.filter.min_kept}; "
                "raise the former or lower the latter"
            )
    return faults_or_ok("steps", found, "every round has enough pairs for a step")


def check_sources(raw: object) -> list[Finding]:
    """No place on the Hub is named without its commit."""
    found = [
        f"{pin.key}: {pin.source}: has no commit, and stages refuse it; run `spa preset "
        "--resolve`, which asks the Hub for it"
        for pin in open_pins(raw)
    ]
    return faults_or_ok("sources", found, "every source on the Hub has its commit")


def check_base(layout: Layout, params: Params) -> list[Finding]:
    """The base, and the policy in a seed's place, are of kinds that can be read."""
    from spa.sources import check_source

    found = []
    for key, source in (("source", params.base.source), ("policy", params.base.policy)):
        if source is not None and not source.endswith("@"):  # `check_sources` tells of those
            found += _trouble(f"base.{key}", partial(check_source, source, layout.root))
    return faults_or_ok("base", found, "base.source is a folder, a wheel or a Hub model")


def check_adapters(params: Params) -> list[Finding]:
    """What train.lora needs is installed."""
    settings = [params.train, *(params.for_round(int(name)).train for name in params.rounds)]
    if all(train.lora is None for train in settings) or find_spec("peft"):
        return []
    return [
        fault(
            "lora",
            "train.lora: peft is not installed; wanted it; pip install 'spread-preference[lora]'",
        )
    ]


def check_code(layout: Layout) -> list[Finding]:
    """The installed code is what the pipeline lists, where it lists code."""
    try:
        code_lock.check_code(layout)
    except SpaError as error:
        return [fault("code", error)]
    return [ok("code", "the installed code matches data/code, if that is there")]


def check_dag(layout: Layout) -> list[Finding]:
    """dvc.yaml fits params.yaml, and what no stage writes is there."""
    try:
        stages = read_stages(layout)
    except SpaError as error:
        return [fault("dvc.yaml", error)]
    missing = sorted(set(_missing(layout, stages)))
    return faults_or_ok("dvc.yaml", missing, f"{len(stages)} stages; everything they read is there")


def check_lock(layout: Layout) -> list[Finding]:
    """dvc.lock, where there is one, is whole: of a cut one DVC says nothing that helps."""
    try:
        stages = read_lock(layout) if layout.dvc_lock.exists() else {}
    except SpaError as error:
        return [fault("dvc.lock", error)]
    return [ok("dvc.lock", f"{len(stages)} stages have run")]


def _missing(layout: Layout, stages: dict[str, Stage]) -> Iterator[str]:
    outs = {out for stage in stages.values() for out in stage.outs}
    for stage in stages.values():
        for dep in stage.deps:
            made = any(_within(dep, out) or _within(out, dep) for out in outs)
            if not made and not (layout.root / dep).exists():
                yield (
                    f"{dep}: not found; wanted by {stage.kind} in dvc.yaml; create it or "
                    "correct its name"
                )


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def check_judges(layout: Layout, params: Params) -> list[Finding]:
    """Every judge and annotator that a file or folder stands for can be found."""
    evaluate, found = params.evaluate, []
    judges = {"judge": params.judge}
    judges |= {f"rounds.{n}.judge": params.for_round(int(n)).judge for n in params.rounds}
    if "rubric" in {*evaluate.annotators, evaluate.asked, *(j.method for j in judges.values())}:
        found += _trouble("rubric", lambda: load_rubric(params.rubric, layout.root))
    if "recorded" in evaluate.annotators:
        file = str(evaluate.recorded)
        found += _trouble("evaluate.recorded", lambda: read_annotations(file, layout.root))
    if evaluate.regression_data and evaluate.against == "reference":
        data = layout.root / evaluate.regression_data
        found += _trouble(
            "evaluate.regression_data", lambda: read_regression_data(data, INSTRUCTIONS)
        )
    if "alpaca_eval" in evaluate.annotators:
        config = evaluate.alpaca_eval.config
        found += _trouble("alpaca_eval", lambda: open_annotator(config, layout.root))
    folders = {f"{key}.model": j.model for key, j in judges.items() if j.method == "reward_model"}
    own = {"llm": evaluate.llm, "reward_model": evaluate.reward_model}
    folders |= {f"evaluate.{n}": own[n] for n in own if n in evaluate.annotators}
    written = {str(layout.policy(n).relative_to(layout.root)) for n in _rounds(params)}
    for key, folder in folders.items():
        if folder not in written and not (layout.root / str(folder)).is_dir():
            found.append(f"{key}: found no folder {folder}; wanted a model's; correct the path")
    return faults_or_ok("judges", found, "every judge and annotator was found")


def _trouble(key: str, load: Callable[[], object]) -> list[str]:
    """Why something cannot be loaded, if so."""
    try:
        load()
    except SpaError as error:
        return [f"{key}: {error}"]
    return []


def _rounds(params: Params) -> tuple[str, ...]:
    return ("base", "0", *params.rounds, "rival")
