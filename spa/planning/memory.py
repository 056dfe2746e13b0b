"""Peak memory of a stage: weights by their number, activations by a rough rule.

Weights, gradients and AdamW's moments are exact; activations count what a Llama-like layer
keeps (8 hidden + 4 intermediate numbers a token) and three copies of the logits in float32.
"""

from spa.compute import Compute
from spa.dag import Stage
from spa.params import Params
from spa.planning.size import ModelSize
from spa.planning.work import Sizes

PROCESS = 700 * 2**20
"""Bytes that Python and its libraries take, about."""
_TRAINED = 4 + 4 + 8  # bytes of a weight in float32, its gradient and its two moments
_LOGITS = 3 * 4


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
            answer = sizes.labelled if stage.kind == "seed" else sizes.sampled
            tokens = 2 * micro_pairs * (sizes.prompt + answer).most
            copies = _TRAINED + (4 if params.train.lambda_ > 0 and stage.kind == "train" else 0)
            layer = (8 * model.hidden + 4 * model.intermediate) * dtype_bytes
            logits = 2 * micro_pairs * answer.most * model.vocabulary * _LOGITS
            return PROCESS + model.parameters * copies + tokens * layer * model.layers + logits
        case "generate" | "baseline" | "evaluate_seed" | "evaluate" | "rival":
            own = stage.kind == "generate"
            answer = sizes.sampled if own else sizes.evaluated
            rows = min(batch, answers)
            cache = rows * (sizes.prompt + answer).most * model.layers * model.cached * dtype_bytes
            sampling = model.parameters * dtype_bytes + cache + rows * model.vocabulary * _LOGITS
            return PROCESS + max(sampling, 0 if own else reading)
        case "judge":
            return PROCESS + reading
    return PROCESS
