"""The work of every stage by params alone: steps, answers, tokens and calls; no model is needed.

Every pair is kept and every answer judged, so that these are the most there can be.
"""

from dataclasses import dataclass
from math import comb

from spa.dag import Stage
from spa.params import Params
from spa.planning.lengths import Lengths
from spa.schedule import make_plan
from spa.scoring import CHECKED

_QUESTION = 60
"""Tokens that a judge is asked beside request and answers (`spa.annotation.llm`), about."""


@dataclass(frozen=True)
class Tokens:
    """A number of tokens: expected, and at most."""

    expected: int = 0
    most: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.expected + other.expected, self.most + other.most)

    def __mul__(self, times: int) -> "Tokens":
        return Tokens(self.expected * times, self.most * times)


@dataclass(frozen=True)
class Work:
    """What one stage does.

    Attributes:
        steps: optimiser steps.
        answers: answers sampled.
        sampled: tokens of those answers.
        read: tokens that a model reads forward only, prompts of sampled answers included.
        light: those of them that are read in the precision of sampling and training: prompts,
            what training's reference reads, and what judges that are models are shown.
        trained: tokens read forward and backward.
        calls: requests to an endpoint that may cost money.
        called: tokens of those requests and their answers, where somebody has counted them.
    """

    steps: int = 0
    answers: int = 0
    sampled: Tokens = Tokens()
    read: Tokens = Tokens()
    light: Tokens = Tokens()
    trained: Tokens = Tokens()
    calls: int = 0
    called: Tokens = Tokens()

    @property
    def tokens(self) -> Tokens:
        return self.sampled + self.read + self.trained


@dataclass(frozen=True)
class Sizes:
    """Mean lengths of one stage in tokens, as whole numbers, nothing unknown any more."""

    prompt: Tokens
    labelled: Tokens
    sampled: Tokens
    evaluated: Tokens

    @classmethod
    def of(cls, lengths: Lengths, params: Params) -> "Sizes":
        """What is not known is as long as it may be."""
        room = params.train.max_length
        cut, held_out = params.generate.max_new_tokens, params.evaluate.max_new_tokens
        prompt = _whole(lengths.prompt, max(0, room - cut))
        return cls(
            prompt=Tokens(prompt, prompt),
            labelled=Tokens(*[_whole(lengths.labelled, max(0, room - prompt))] * 2),
            sampled=Tokens(min(cut, _whole(lengths.sampled, cut)), cut),
            evaluated=Tokens(min(held_out, _whole(lengths.evaluated, held_out)), held_out),
        )


def _whole(known: float | None, otherwise: int) -> int:
    return otherwise if known is None else round(known)


def stage_work(stage: Stage, params: Params, lengths: Lengths, *, float32: bool) -> Work:
    """The work of one stage; none for those that run no model.

    Args:
        stage: one of dvc.yaml's.
        params: the pipeline's.
        lengths: of prompts and answers.
        float32: policies are sampled and trained in float32, so that the sampler's
            log-probabilities hold and nothing is read twice.

    Raises:
        TrainingError: a round has fewer pairs than one batch takes.
    """
    if stage.round in params.rounds:
        return _round_work(stage.kind, stage.round, params, lengths, float32)
    sizes = Sizes.of(lengths, params)
    match stage.kind:
        case "seed" if params.base.policy is None:
            own = params.for_round(0)
            return _training(own, params.split.seed_pairs, sizes.prompt + sizes.labelled)
        case "baseline" | "evaluate_seed":
            return _evaluation(params, sizes, base=stage.kind == "baseline")
        case "rival":
            tried = len(params.rival.gammas) * params.split.development
            return _joined(
                _sampling(tried, sizes.prompt, sizes.evaluated),
                _light(_asked(params, params.rival.gammas, sizes)),
                _evaluation(params, sizes, base=False),
            )
    return Work()


def _round_work(kind: str, round: str, params: Params, lengths: Lengths, float32: bool) -> Work:
    """The work of a round's stage."""
    own, prompts = params.for_round(int(round)), params.rounds[round].prompts
    sizes = Sizes.of(lengths, own)
    match kind:
        case "generate":
            return _sampling(prompts * own.generate.samples, sizes.prompt, sizes.sampled)
        case "judge":
            return _judging(own, prompts, sizes, params.rounds[round].prev, float32)
        case "train":
            return _training(own, prompts, sizes.prompt + sizes.sampled, known=float32)
        case "evaluate":
            return _evaluation(own, sizes, base=False)
        case "calibrate" if own.evaluate.asked == "llm":
            return _light(_question(sizes.prompt, sizes.sampled) * (2 * prompts))
        case "calibrate" if own.evaluate.asked == "reward_model":
            return _light((sizes.prompt + sizes.sampled) * (2 * prompts))
    return Work()


def _joined(*parts: Work) -> Work:
    return Work(
        steps=sum(p.steps for p in parts),
        answers=sum(p.answers for p in parts),
        sampled=sum((p.sampled for p in parts), Tokens()),
        read=sum((p.read for p in parts), Tokens()),
        light=sum((p.light for p in parts), Tokens()),
        trained=sum((p.trained for p in parts), Tokens()),
        calls=sum(p.calls for p in parts),
    )


def _sampling(answers: int, prompt: Tokens, answer: Tokens) -> Work:
    return _joined(Work(answers=answers, sampled=answer * answers), _light(prompt * answers))


def _light(read: Tokens) -> Work:
    return Work(read=read, light=read)


def _training(params: Params, pairs: int, sequence: Tokens, *, known: bool = False) -> Work:
    """Training on all pairs, and the reference's passes: first, and live where lambda > 0."""
    plan = make_plan(pairs, params.train)
    size = params.train.batch_size
    live = plan.steps - plan.look if params.train.lambda_ > 0 else 0
    reads = (0 if known else pairs) + live * size
    trained = Work(steps=plan.steps, trained=sequence * (2 * plan.steps * size))
    return _joined(trained, _light(sequence * (2 * reads)))


def _judging(params: Params, prompts: int, sizes: Sizes, prev: str, float32: bool) -> Work:
    """The base reads all answers; whoever else must, too."""
    judge, answers = params.judge, prompts * params.generate.samples
    passes = 1 + (not float32)
    log_ratio = judge.method not in ("llm", "reward_model", "rubric")
    passes += log_ratio and judge.reference == "previous" and prev not in ("0", "rival")
    sequence = sizes.prompt + sizes.sampled
    read = Work(read=sequence * (passes * answers + min(CHECKED, answers) * float32))
    if judge.method == "reward_model":
        return _joined(read, _light(sequence * answers))
    if judge.method == "llm":
        contests = prompts * comb(params.generate.samples, 2)
        return _joined(read, _light(_question(sizes.prompt, sizes.sampled) * (2 * contests)))
    return read


def _question(prompt: Tokens, answer: Tokens) -> Tokens:
    """A request with two answers, as a judge reads it in one order."""
    return prompt + answer * 2 + Tokens(_QUESTION, _QUESTION)


def _evaluation(params: Params, sizes: Sizes, *, base: bool) -> Work:
    split = params.split
    answers = split.development + split.test
    gold = (sizes.prompt + sizes.labelled) * (2 * split.gold)
    drift = (sizes.prompt + sizes.evaluated) * (0 if base else split.test)
    asked = answers + (split.development or split.test) * base  # the base meets a null answer
    shown = Tokens()
    for name in params.evaluate.annotators:
        if name == "llm":
            shown += _question(sizes.prompt, sizes.evaluated) * (2 * asked)
        elif name == "reward_model":
            shown += (sizes.prompt + sizes.evaluated) * (3 * answers)
    own = _sampling(answers, sizes.prompt, sizes.evaluated)
    return _joined(own, Work(read=gold + drift, calls=_calls(params, base=base)), _light(shown))


def _calls(params: Params, *, base: bool) -> int:
    """Comparisons that alpaca_eval asks about: equal answers are a tie and cost nothing."""
    if "alpaca_eval" not in params.evaluate.annotators:
        return 0
    split, against = params.split, params.evaluate.against
    if not base:
        return split.development + split.test
    null = split.development or split.test
    return null + (split.test if against == "reference" else 0)


def _asked(params: Params, gammas: list[float], sizes: Sizes) -> Tokens:
    """What choosing gamma makes an annotator with a model read."""
    tried = len(gammas) * params.split.development
    match params.evaluate.asked:
        case "llm":
            return _question(sizes.prompt, sizes.evaluated) * (2 * tried)
        case "reward_model":
            return (sizes.prompt + sizes.evaluated) * (3 * tried)
    return Tokens()
