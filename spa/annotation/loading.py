"""From an annotator's name in params.yaml to the annotator."""

from spa.annotation.alpaca_eval import AlpacaEvalAnnotator
from spa.annotation.annotator import Annotator
from spa.annotation.endpoint import Endpoint
from spa.annotation.llm import LlmAnnotator
from spa.annotation.recorded import RecordedAnnotator
from spa.annotation.reward_model import RewardModelAnnotator, load_reward_model
from spa.annotation.rubric_annotator import load_rubric
from spa.annotators import AnnotatorName
from spa.compute import Compute
from spa.importing.annotations import read_annotations
from spa.importing.files import refuse_links
from spa.layout import Layout
from spa.models import load_policy
from spa.params import Params


def load_annotator(
    name: AnnotatorName, params: Params, compute: Compute, *, layout: Layout
) -> Annotator:
    """Load an annotator of `evaluate.annotator`; it may hold a model in memory.

    Raises:
        AnnotationError: its function cannot be loaded or its model cannot be asked.
        InputError: its recorded annotations cannot be read.
        ModelError: its model cannot be loaded.
    """
    settings, tokens = params.evaluate, compute.score_tokens
    match name:
        case "rubric":
            return load_rubric(params.rubric, layout.root)
        case "llm":
            return LlmAnnotator(
                load_policy(layout.root / str(settings.llm), compute), token_budget=tokens
            )
        case "reward_model":
            model = load_reward_model(layout.root / str(settings.reward_model), compute)
            return RewardModelAnnotator(model, token_budget=tokens)
        case "alpaca_eval":
            endpoint = Endpoint(
                cache=layout.cache / "annotations",
                calls=compute.endpoint_calls,
                timeout=compute.endpoint_timeout,
            )
            limit, root = settings.max_cost_usd, layout.root
            return AlpacaEvalAnnotator(
                settings.alpaca_eval, endpoint, root=root, max_cost_usd=limit
            )
        case "recorded":
            file = str(settings.recorded)
            refuse_links(file, layout.root)
            return RecordedAnnotator(read_annotations(file, layout.root), file=file)
