"""The plan of a pipeline: what each stage takes, and all that are still to run together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spa.compute import Compute
from spa.dag import Stage, read_stages
from spa.errors import AnnotationError, ModelError
from spa.layout import Layout
from spa.params import Params
from spa.planning.cards import reckoned
from spa.planning.elsewhere import HERE, Elsewhere
from spa.planning.figures import PipelinePlan, StagePlan
from spa.planning.lengths import Lengths, measure_lengths
from spa.planning.machine import device_memory
from spa.planning.memory import stage_memory, trained_numbers
from spa.planning.pending import pending_stages
from spa.planning.rates import timed
from spa.planning.size import ModelSize, base_folder, config_size, known_size, model_size
from spa.planning.work import Sizes, stage_work

_CHECKPOINT = 2 * 12
"""Bytes for each trained number in the two checkpoints that may be there at once: itself and its
two moments in float32."""


@dataclass(frozen=True)
class _Known:
    """What is known before the stages are looked at."""

    layout: Layout
    params: Params
    compute: Compute
    lengths: Lengths
    base: Path | None
    model: ModelSize | None

    def sizes(self, stage: Stage) -> tuple[Params, Sizes]:
        """A stage's own params, and its lengths."""
        own = self.params
        if stage.kind in ("generate", "judge", "filter", "train", "seed") and stage.round:
            own = self.params.for_round(int(stage.round))
        return own, Sizes.of(self.lengths, own)


def plan_pipeline(
    layout: Layout,
    params: Params,
    compute: Compute,
    *,
    probe: bool,
    elsewhere: Elsewhere = HERE,
) -> PipelinePlan:
    """Plan all stages; with `probe`, measure this machine for a while (`spa.planning.probe`).

    Raises:
        ModelError: the config of `elsewhere` cannot be read.
        ParamsError: dvc.yaml cannot be read, or wants a param that is missing.
        TrainingError: a round has fewer pairs than one batch takes.
    """
    import torch

    from spa.models import choose_dtype

    stages = read_stages(layout)
    pending, trouble = pending_stages(layout, stages)
    notes = [trouble] if trouble else []
    base = base_folder(layout, params)
    lengths = measure_lengths(layout, params, base).said(elsewhere.prompt, elsewhere.answer)
    notes += lengths.notes
    model = _model(base, params, elsewhere, notes)
    compute = elsewhere.compute(compute)
    base = None if elsewhere.config else base  # what is here is not what is asked about
    known = _Known(layout, params, compute, lengths, base, model)
    float32 = choose_dtype(compute) is torch.float32
    plans = {
        name: StagePlan(name, name in pending, stage_work(stage, params, lengths, float32=float32))
        for name, stage in stages.items()
    }
    plans = {name: _sized(plan, stages[name], known) for name, plan in plans.items()}
    plans = _priced(plans, known, notes)
    if elsewhere.gpu is not None:
        plans = reckoned(plans, elsewhere.gpu, model, compute, notes)
    elif probe:
        plans = _timed(plans, known, notes)
    return PipelinePlan(list(plans.values()), notes)


def _model(
    base: Path | None, params: Params, elsewhere: Elsewhere, notes: list[str]
) -> ModelSize | None:
    if elsewhere.config is not None:
        return config_size(elsewhere.config)
    try:
        if base is not None:
            return model_size(base)
        found = known_size(params.base.source)
        if found is not None:
            notes.append(
                f"the base is not here yet: taken as {found.parameters / 1e9:.2f} billion weights, "
                f"as {re.split('[@#]', params.base.source)[0]} has"
            )
            return found
        reason = "there is no base yet; run `dvc repro base`, or give its config.json with --config"
    except ModelError as error:
        reason = str(error)
    notes.append(f"memory, disk and hours unknown: {reason}")
    return None


def _sized(plan: StagePlan, stage: Stage, known: _Known) -> StagePlan:
    """With memory and disk, where the base is there."""
    from spa.models import choose_dtype, choose_generate_batch, choose_train_pairs

    model = known.model
    written = any(out.endswith("/policy") for out in stage.outs)
    if model is None:
        return replace(plan, disk=None if written else 0, scratch=None if plan.work.steps else 0)
    params, sizes = known.sizes(stage)
    memory = stage_memory(
        stage,
        params,
        sizes,
        model,
        known.compute,
        answers=plan.work.answers,
        batch=choose_generate_batch(known.compute),
        micro_pairs=choose_train_pairs(known.compute),
        dtype_bytes=choose_dtype(known.compute).itemsize,
    )
    disk = model.file_bytes if stage.kind == "base" else model.parameters * 4
    return replace(
        plan,
        memory=memory,
        disk=disk * written,
        scratch=trained_numbers(params.train, model) * _CHECKPOINT * (plan.work.steps > 0),
    )


def _priced(
    plans: Mapping[str, StagePlan], known: _Known, notes: list[str]
) -> dict[str, StagePlan]:
    """With what calls of an endpoint cost."""
    if not any(plan.work.calls for plan in plans.values()):
        return dict(plans)
    from spa.planning.price import call_cost

    settings = known.params.evaluate.alpaca_eval
    sizes = Sizes.of(known.lengths, known.params)
    try:
        cost = call_cost(settings, known.layout.root, sizes.prompt.most, sizes.evaluated)
    except AnnotationError as error:
        notes.append(f"the judge's cost is unknown: {error}")
        cost = None
    if cost is not None and cost.usd_per_token is None:
        notes.append(
            "the judge's price is unknown: set evaluate.alpaca_eval.usd_per_million_tokens"
        )
    return {
        name: replace(
            plan,
            work=replace(plan.work, called=cost.tokens * plan.work.calls) if cost else plan.work,
            usd=cost.usd(plan.work.calls) if cost else None,
            usd_at_most=cost.usd(plan.work.calls, most=True) if cost else None,
        )
        if plan.work.calls
        else plan
        for name, plan in plans.items()
    }


def _timed(plans: Mapping[str, StagePlan], known: _Known, notes: list[str]) -> dict[str, StagePlan]:
    """With hours, where this machine can be measured with the base."""
    if known.base is None or known.model is None:
        return dict(plans)
    from spa.planning.probe import measure_rates

    sizes = Sizes.of(known.lengths, known.params)
    prompt, answer = sizes.prompt.expected, max(1, sizes.sampled.expected)
    try:
        _check_memory(plans, known)
        rates = measure_rates(
            known.base, known.compute, known.params.train, prompt=prompt, answer=answer
        )
    except ModelError as error:
        notes.append(f"hours unknown: {error}")
        return dict(plans)
    notes.append(rates.describe())
    if "vllm" in known.params.engines:
        notes.append("sampling is timed with the transformers engine; hours with vLLM differ")
    return timed(plans, rates)


def _check_memory(plans: Mapping[str, StagePlan], known: _Known) -> None:
    needs = PipelinePlan(list(plans.values()), []).memory
    there = device_memory(known.compute)
    if needs is not None and there is not None and needs > there:
        raise ModelError(
            f"a stage needs about {needs / 1e9:.1f} GB of memory, {there / 1e9:.1f} are here, so "
            "nothing was measured"
        )
