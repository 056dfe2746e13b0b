"""Peak memory of a stage: weights by their number, activations by a rough rule.

Weights, gradients and AdamW's moments are exact (an adapter's for seven linear layers a block);
activations count what a Llama-like layer
keeps (8 hidden + 4 intermediate numbers a token) and three copies of the logits in float32. Of what
is trained in shards, a process has its part, two layers and the embeddings whole, and at first
all of a model.
"""

from spa.compute import Compute
from spa.dag import Stage
from spa.params import Params, Train
from spa.planning.size import ModelSize
from spa.planning.work import Sizes

PROCESS = 700 * 2**20
"""Bytes that Python and its libraries take, about."""
_TRAINED = 4 + 8  # bytes of a trained weight's gradient and its two moments, in float32
_LOGITS = 3 * 4


def trained_numbers(train: Train, model: ModelSize) -> int:
    """Numbers that training changes: all weights, or an adapter's in every layer it may be in."""
    if train.lora is None:
        return model.parameters
    hidden, keys, inner = model.hidden, model.cached // 2, model.intermediate
    attention = 2 * (hidden + hidden) + 2 * (hidden + keys)
    return train.lora.rank * model.layers * (attention + 3 * (hidden + inner))


def stage_memory(
    stage: Stage,
    params: Params,
    sizes: Sizes,
    model: ModelSize,
    compute: Compute,
    *,
    answers: int,
    batch: int,
    micro_pairs: int,
    dtype_bytes: int,
) -> int:
    """Peak bytes on the device that computes; `PROCESS` for stages that run no model.

    Args:
        stage: one of dvc.yaml's.
        params: with the round's overrides.
        sizes: mean lengths in tokens; the longest batch may take more.
        model: the base's size.
        compute: how the work is done here.
        answers: answers that the stage samples in all.
        batch: answers sampled at once.
        micro_pairs: pairs per forward and backward pass.
        dtype_bytes: of sampling and of training's activations.
    """
    scored = compute.score_tokens
    reading = model.parameters * 4 + scored * (model.vocabulary * 4 + model.hidden * 40)
    match stage.kind:
        case "base":
            return PROCESS + model.parameters * 4
        case "seed" if params.base.policy is not None:
            return PROCESS + model.parameters * 4
        case "seed" | "train":
            return PROCESS + _training(
                stage, params.train, sizes, model, compute, micro_pairs, dtype_bytes
            )
        case "generate" | "baseline" | "evaluate_seed" | "evaluate" | "rival":
            own = stage.kind == "generate"
            answer = sizes.sampled if own else sizes.evaluated
            rows = min(batch, answers)
            cache = rows * (sizes.prompt + answer).most * model.layers * model.cached * dtype_bytes
            sampling = model.parameters * dtype_bytes + cache + rows * model.vocabulary * _LOGITS
            return PROCESS + max(sampling, 0 if own else reading)
        case "judge":
            return PROCESS + reading
        case "calibrate" if params.evaluate.asked in ("llm", "reward_model"):
            return PROCESS + reading - model.parameters * (4 - dtype_bytes)
    return PROCESS


def _training(
    stage: Stage,
    train: Train,
    sizes: Sizes,
    model: ModelSize,
    compute: Compute,
    micro_pairs: int,
    dtype_bytes: int,
) -> int:
    """Bytes of a process that trains: weights, their gradients and moments, and activations."""
    answer = sizes.labelled if stage.kind == "seed" else sizes.sampled
    tokens = 2 * micro_pairs * (sizes.prompt + answer).most
    layer = (8 * model.hidden + 4 * model.intermediate) * dtype_bytes
    logits = 2 * micro_pairs * answer.most * model.vocabulary * _LOGITS
    activations = tokens * layer * model.layers + logits
    one = model.parameters * 4
    trained = one + trained_numbers(train, model) * (_TRAINED + 4 * bool(train.lora))
    live = train.lambda_ > 0 and stage.kind == "train" and not train.lora
    if not compute.shard:
        return trained + one * live + activations
    count = compute.training_processes
    parts = (trained + one * live) // count
    together = 2 * one // model.layers + model.vocabulary * model.hidden * 4  # while they compute
    loading = (
        trained // compute.training_processes + one if live else one
    )  # a model is whole at first
    return max(parts + together + activations, loading)
