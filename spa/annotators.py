"""The schema of `evaluate` in params.yaml: how held-out prompts are answered, and who compares."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from spa.section import EngineName, Positive, Section

AnnotatorName = Literal["rubric", "llm", "reward_model", "recorded", "alpaca_eval"]


class AlpacaEval(Section):
    """`evaluate.alpaca_eval`: which of AlpacaEval's annotators asks which model.

    The endpoint is the environment's, OPENAI_BASE_URL (any server that speaks OpenAI's chat
    completions), and so is its key, OPENAI_API_KEY.
    """

    config: str = "weighted_alpaca_eval_gpt4_turbo"
    """One of alpaca-eval's annotators, by name, or a folder of the pipeline like theirs (under
    `data/raw/annotations/`, so that DVC knows it); it must ask OpenAI's chat completions."""
    model: str | None = None
    """The model asked, by the endpoint's name for it; the config's own by default."""
    usd_per_million_tokens: Annotated[float, Field(ge=0)] | None = None
    """The model's price; by default alpaca-eval's, or none for an endpoint on this machine."""

    @property
    def signature(self) -> str:
        """What annotations name as their annotator: the config, and the model if another one."""
        name = PurePosixPath(self.config).name
        return name if self.model is None else f"{name} of {self.model}"


class Evaluate(Section):
    """`evaluate`: how every policy answers the held-out prompts, and who compares."""

    annotator: AnnotatorName | Annotated[list[AnnotatorName], Field(min_length=1)] = "rubric"
    """Who says which answer is better, the policy's or the base's: `rubric`, a Python function;
    `llm`, a language model asked in both orders; `reward_model`; `recorded`, annotations of a
    file; `alpaca_eval`, a model behind an endpoint, as AlpacaEval asks it. Of several, the first
    gives the win rate, and the others are reported beside it."""
    llm: str | None = None
    """For `llm`: a folder of the pipeline with a causal language model, say `data/base/policy`."""
    reward_model: str | None = None
    """For `reward_model`: a folder of the pipeline with a transformers sequence classifier."""
    recorded: str | None = None
    """For `recorded`: a file of annotations in AlpacaEval's format under `data/raw/annotations`."""
    against: Literal["base", "reference"] = "base"
    """Whose answers to the test prompts policies are compared with: the base's, or the outputs
    that `split.instructions` come with (AlpacaEval's have gpt4_1106_preview's)."""
    regression_data: str | None = None
    """alpaca-eval's df_gamed.csv or a file like it under `data/raw/annotations/`, for the
    length-controlled win rate on AlpacaEval's 805; fetched from the Hub by default."""
    alpaca_eval: AlpacaEval = AlpacaEval()
    """For `alpaca_eval`: who is asked, and how."""
    max_cost_usd: Annotated[float, Field(ge=0)] | None = None
    """The most that one evaluation may cost at an endpoint, the constant answer's calls included;
    checked before calls are made, and before each one by what those before it took."""
    engine: EngineName = "transformers"
    """What samples the answers to held-out prompts; as `generate.engine`."""
    temperature: Annotated[float, Field(gt=0)] = 0.7
    """Of the answers to held-out prompts."""
    max_new_tokens: Positive = 300
    """Tokens after which such an answer is cut."""

    @property
    def annotators(self) -> list[AnnotatorName]:
        """The annotators, the one that gives the win rate first."""
        return self.annotator if isinstance(self.annotator, list) else [self.annotator]

    @property
    def asked(self) -> AnnotatorName:
        """The annotator that chooses the rival and calibrates judges: the first that can be asked
        about any answers without a price, or the rubric where there is none."""
        free = (name for name in self.annotators if name not in ("recorded", "alpaca_eval"))
        return next(free, "rubric")
