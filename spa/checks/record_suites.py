"""Suites of the files that pairs come from: prompts, responses and held-out prompts.

What they find is counted, and the pairs concerned are flagged by checks of their own. A file
that is broken as such (an id twice, tokens without log-probabilities) stops the run.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from spa import degeneracy
from spa.checks.leaks import template_leaks
from spa.checks.measures import Known
from spa.checks.suites import Rule, Suite, one_of, rule, without
from spa.records import Prompt, Response, Score
from spa.same_prompts import prompt_key

_UNSAID = ("empty", "blank", "wordless")


def non_finite(responses: Iterable[Response], scores: Iterable[Score]) -> set[str]:
    """Ids of responses with a log-probability or reward that is no finite number."""
    figures = [(s.response_id, (s.policy_logp, s.base_logp, s.reward)) for s in scores]
    return {name for name, values in figures if not np.isfinite(values).all()} | {
        r.response_id for r in responses if not np.isfinite(r.logprob)
    }


def unended(responses: Iterable[Response], end_of_turn: int) -> set[str]:
    """Ids of responses that finished, by their finish reason, without the end-of-turn token."""
    return {
        r.response_id
        for r in responses
        if r.finish_reason == "stop" and r.token_ids[-1:] != [end_of_turn]
    }


def leaking(responses: Iterable[Response], special: frozenset[int]) -> set[str]:
    """Ids of responses with a special token before their end, which their text leaves out."""
    return {
        r.response_id
        for r in responses
        if special.intersection(r.token_ids[:-1] if r.finish_reason == "stop" else r.token_ids)
    }


def prompt_suite(prompts: Sequence[Prompt], known: Known) -> Suite:
    """A round's prompts: no id twice, a user's question each, held out and used nowhere else."""
    frame = _prompt_frame(prompts)
    keys = [prompt_key(p.prompt) for p in prompts]
    frame["held_out"] = [key in known.held_out for key in keys]
    frame["earlier"] = [key in known.earlier for key in keys]
    rules = [
        *_prompt_rules(),
        rule("overlap", "warn", "held_out", one_of(False)),
        rule("reused_prompt", "warn", "earlier", one_of(False)),
    ]
    return Suite("prompts", frame, rules)


def held_out_suite(prompts: Sequence[Prompt]) -> Suite:
    """Development and test prompts: no id twice, a user's question each."""
    return Suite("held_out", _prompt_frame(prompts), _prompt_rules())


def response_suite(responses: Sequence[Response], known: Known) -> Suite:
    """A round's answers: no id twice, ended as they say, every token with a log-probability."""
    ids = [r.response_id for r in responses]
    frame = pd.DataFrame(
        {
            "row": range(len(ids)),
            "response_id": ids,
            "repeated_id": pd.Series(ids, dtype=object).duplicated(),
            "finish_reason": [r.finish_reason for r in responses],
            "token_for_token": [len(r.token_ids) == len(r.token_logprobs) for r in responses],
            "content": [degeneracy.content(r.text) for r in responses],
            "template_leaks": [
                r.response_id in known.leaking or template_leaks(r.text) > 0 for r in responses
            ],
            "finite": [name not in known.non_finite for name in ids],
            "ended": [name not in known.unended for name in ids],
        }
    )
    rules = [
        rule("repeated_id", "stop", "repeated_id", one_of(False)),
        rule("finish_reason", "stop", "finish_reason", one_of("stop", "length")),
        rule("token_for_token", "stop", "token_for_token", one_of(True)),
        *(rule(name, "warn", "content", without(name)) for name in _UNSAID),
        rule("template_leak", "warn", "template_leaks", one_of(False)),
        rule("non_finite", "warn", "finite", one_of(True)),
        rule("missing_end", "warn", "ended", one_of(True)),
    ]
    return Suite("responses", frame, rules)


def _prompt_frame(prompts: Sequence[Prompt]) -> pd.DataFrame:
    ids = [prompt.prompt_id for prompt in prompts]
    return pd.DataFrame(
        {
            "row": range(len(ids)),
            "prompt_id": ids,
            "repeated_id": pd.Series(ids, dtype=object).duplicated(),
            "role": [p.prompt[-1]["role"] for p in prompts],
            "content": [degeneracy.content(p.prompt[-1]["content"]) for p in prompts],
        }
    )


def _prompt_rules() -> list[Rule]:
    return [
        rule("repeated_id", "stop", "repeated_id", one_of(False)),
        rule("role", "warn", "role", one_of("user")),
        *(rule(name, "warn", "content", without(name)) for name in _UNSAID),
    ]
