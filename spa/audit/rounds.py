"""A round's rows against the rows they came from: answers, scores, pairs, kept pairs, steps."""

import math
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spa.audit.findings import Findings
from spa.audit.flags import check_actions, check_copies, check_counts
from spa.audit.pools import Rows, check_ids
from spa.audit.steps import audit_log
from spa.audit.training import audit_apart
from spa.layout import Layout
from spa.params import Params
from spa.preference import (
    Choice,
    best_against_random,
    best_against_worst,
    preference_probability,
)
from spa.records import (
    FlaggedPair,
    JudgedPair,
    Response,
    Score,
    TrainingRow,
    content_hash,
    pair_hash,
)
from spa.seeds import derive_seed, generator, rank_key
from spa.tables import read_note

TOLERANCE = 1e-6
"""Nats by which a recomputed sum of float64 may differ."""
_STORED = 1e-4
"""Nats by which a sum of log-probabilities kept in float32 may differ, per 100 tokens."""


def _close(found: ArrayLike, wanted: ArrayLike) -> NDArray[np.bool_]:
    """Where numbers are equal, those that are infinite or none as well."""
    return np.isclose(found, wanted, rtol=0, atol=TOLERANCE, equal_nan=True)


class RoundAudit:
    """Checks one round; every method adds what it finds to `found`."""

    def __init__(
        self,
        layout: Layout,
        params: Params,
        round: int,
        pools: dict[str, Rows],
        found: Findings,
        *,
        sampler: str,
    ) -> None:
        """Read a round's files; `sampler` is the model hash of the policy that round.prev names."""
        self._layout, self._params, self._found = layout, params.for_round(round), found
        self._beta = params.train.beta
        self._sampler = sampler
        self._round, self._pools, self._prev = round, pools, params.round(round).prev
        self._responses = Rows(layout, layout.responses(round), Response, found)
        self._scores = Rows(layout, layout.scores(round), Score, found)
        self._pairs = Rows(layout, layout.pairs(round), JudgedPair, found)
        self._kept = Rows(layout, layout.kept(round), JudgedPair, found)
        self._flagged = Rows(layout, layout.flagged(round), FlaggedPair, found)
        self._log = Rows(layout, layout.training_log(round), TrainingRow, found)
        self._place = {own: i for i, own in enumerate(self._responses["response_id"])}

    @property
    def pairs(self) -> int:
        """How many pairs the round's judge made."""
        return len(self._pairs)

    def run(self) -> None:
        """All checks of the round, in the order in which its stages ran, if its files are there."""
        tables = (
            self._pools[str(self._round)], self._responses, self._scores, self._pairs, self._kept,
            self._flagged, self._log,
        )  # fmt: skip
        if lacking := [rows.name for rows in tables if rows.name in self._found.unread]:
            self._found.note(
                f"round {self._round}: no row was followed, for want of {', '.join(lacking)}"
            )
            return
        self._answers()
        self._answer_sums()
        ids = self._responses["response_id"]
        self._found.order(self._scores.name, self._scores["response_id"], ids, self._responses.name)
        if self._scores["response_id"] == ids:
            self._score_prompts()
            self._rewards()
            self._labels()
        check_ids(self._pairs, self._found, pairs=True)
        self._pair_texts()
        self._filtered()
        audit_apart(self._kept, self._pools, self._found)
        audit_log(self._log, self._kept["pair_id"], self._params, self._round, self._found)

    def _answers(self) -> None:
        """Every prompt has its samples, each with its own seed, by the policy before."""
        rows, pool, settings = self._responses, self._pools[str(self._round)], self._params.generate
        samples = range(settings.samples)
        wanted = [f"{prompt} sample {s}" for prompt in pool["prompt_id"] for s in samples]
        names = [f"{p} sample {s}" for p, s in zip(rows["prompt_id"], rows["sample"], strict=True)]
        self._found.order(rows.name, names, wanted, pool.name)
        folder, model = self._layout.policy(self._prev), self._sampler
        columns = ("response_id", "prompt_id", "sample", "seed", "model", "token_ids")
        for row, (own, prompt, sample, seed, by, tokens) in enumerate(
            zip(*(rows[name] for name in columns), strict=True), 1
        ):
            if by != model:
                where = f"{self._layout.show(folder)}, which rounds.{self._round}.prev names"
                self._found.fault(rows.name, f"sampled by model {by}; {where}, is {model}", row)
            if seed != derive_seed(self._params.seed, "generate", self._round, prompt, sample):
                self._found.fault(
                    rows.name, f"seed {seed} is not that of its prompt and round", row
                )
            if content_hash(prompt, sample, seed, by, tokens) != own:
                self._found.fault(
                    rows.name, f"response_id {own} is not the hash of its tokens", row
                )
            if len(tokens) > settings.max_new_tokens:
                what = f"{len(tokens)} tokens; generate.max_new_tokens is {settings.max_new_tokens}"
                self._found.fault(rows.name, what, row)
        check_ids(rows, self._found, pairs=False)

    def _answer_sums(self) -> None:
        """An answer's log-probability is the sum of its tokens', one for each token."""
        rows = self._responses
        columns = (rows[name] for name in ("token_ids", "token_logprobs", "logprob"))
        for row, (tokens, logprobs, total) in enumerate(zip(*columns, strict=True), 1):
            if len(tokens) != len(logprobs):
                what = f"{len(tokens)} tokens, {len(logprobs)} log-probabilities"
                self._found.fault(rows.name, what, row)
            elif abs(math.fsum(logprobs) - total) > _STORED * (1 + len(tokens) / 100):
                what = f"logprob {total}; its tokens' sum to {math.fsum(logprobs)}"
                self._found.fault(rows.name, what, row)

    def _score_prompts(self) -> None:
        rows, theirs = self._scores, self._responses
        for row, (own, prompt) in enumerate(
            zip(rows["prompt_id"], theirs["prompt_id"], strict=True), 1
        ):
            if own != prompt:
                self._found.fault(rows.name, f"prompt_id {own}; {theirs.name} has {prompt}", row)

    def _rewards(self) -> None:
        """Rewards follow from the log-probabilities, and these from the sampler's own."""
        rows, texts = self._scores, self._responses["text"]
        policy = np.array(rows["policy_logp"], dtype=float)
        own = np.array([math.fsum(x) for x in self._responses["token_logprobs"]], dtype=float)
        if len(own) and np.median(np.abs(policy - own)) < TOLERANCE:  # else all were read anew
            self._off(rows.name, "policy_logp", policy, own)
        tokens = np.array([len(ids) for ids in self._responses["token_ids"]], dtype=float)
        self._off(rows.name, "tokens", np.array(rows["tokens"], dtype=float), tokens)
        raw = self._raw_rewards(policy, np.array(rows["base_logp"], dtype=float))
        if raw is None or not len(own):
            return
        characters = np.array([len(text) for text in texts], dtype=float)
        reward = np.array(rows["reward"], dtype=float)
        penalty = self._penalty(raw - reward, characters)
        self._off(rows.name, "reward", reward, raw - penalty * characters)

    def _penalty(self, less: np.ndarray, characters: np.ndarray) -> float:
        """Nats a character: of params, or those that `auto` found, which scores.parquet tells."""
        asked = self._params.judge.length_penalty
        if asked != "auto":
            return asked
        told = read_note(self._layout.scores(self._round), "length_penalty")
        if told is not None:
            return told
        some = (characters > 0) & np.isfinite(less)  # by an older spa: thousandths, for all answers
        found = np.median(less[some] / characters[some]) if some.any() else 0.0
        return round(float(found) * 1000) / 1000

    def _raw_rewards(self, policy: np.ndarray, base: np.ndarray) -> np.ndarray | None:
        """Rewards before any penalty, or None where a model or a rubric gave them."""
        judge = self._params.judge
        if judge.method == "likelihood":
            return policy
        if judge.method == "random":
            ids = self._scores["response_id"]
            names = ("judge", self._round)
            return np.array([generator(self._params.seed, *names, i).normal() for i in ids])
        if judge.method not in ("implicit", "inverted"):
            self._found.note(
                f"round {self._round}: rewards of {judge.method} are not computed anew"
            )
            return None
        if judge.reference == "previous" and self._prev not in ("0", "rival"):
            self._found.note(f"round {self._round}: judge.reference previous is not kept in scores")
            return None
        implicit = policy - (0.0 if judge.reference == "none" else base)
        return implicit if judge.method == "implicit" else -implicit

    def _off(self, file: str, column: str, found: np.ndarray, wanted: np.ndarray) -> None:
        for i in np.flatnonzero(~_close(found, wanted)):
            self._found.fault(file, f"{column} {found[i]:g}; wanted {wanted[i]:g}", int(i) + 1)

    def _labels(self) -> None:
        """Pairs are the ones that the scores make: who is chosen, by what margin, how likely."""
        wanted = {prompt: choice for prompt, choice in self._choices()}
        rows, beta = self._pairs, self._beta
        self._found.order(rows.name, rows["prompt_id"], list(wanted), self._scores.name)
        ids, turned = self._responses["response_id"], self._turned(wanted)
        names = ("prompt_id", "chosen_id", "rejected_id", "margin", "probability", "method")
        for row, (prompt, chosen, rejected, margin, probability, method) in enumerate(
            zip(*(rows[name] for name in names), strict=True), 1
        ):
            choice = wanted.get(prompt)
            if choice is None:
                continue
            right, sign = (ids[choice.chosen], ids[choice.rejected]), 1
            if prompt in turned:
                right, sign = right[::-1], -1
            if (chosen, rejected) != right:
                what = f"chosen {chosen}, rejected {rejected}; the scores say {', '.join(right)}"
                self._found.fault(rows.name, what, row)
            if not _close(margin, sign * choice.margin):
                what = f"margin {margin:g}; the scores give {sign * choice.margin:g}"
                self._found.fault(rows.name, what, row)
            if not _close(probability, preference_probability(margin, beta=beta)):
                what = f"probability {probability:g}; sigma({beta:g} * margin) is otherwise"
                self._found.fault(rows.name, what, row)
            if method != self._params.judge.method:
                what = f"method {method}; wanted {self._params.judge.method}"
                self._found.fault(rows.name, what, row)

    def _choices(self) -> Iterator[tuple[str, Choice]]:
        groups: dict[str, list[int]] = defaultdict(list)
        for i, prompt in enumerate(self._scores["prompt_id"]):
            groups[prompt].append(i)
        settings, rewards = self._params.judge, self._scores["reward"]
        for prompt, members in groups.items():
            own, band = [rewards[i] for i in members], settings.tie_band
            if settings.pairing == "best_worst":
                choice = best_against_worst(own, tie_band=band)
            else:
                draw = generator(self._params.seed, "pairing", self._round, prompt)
                choice = best_against_random(own, tie_band=band, generator=draw)
            if choice:
                at = members[choice.chosen], members[choice.rejected]
                yield prompt, Choice(*at, choice.margin)

    def _turned(self, wanted: dict[str, Choice]) -> set[str]:
        """Prompts whose pair's label `judge.flip_labels` turned round."""
        share = self._params.judge.flip_labels
        if not share:
            return set()
        prompts, texts = self._responses["prompt"], self._responses["text"]
        names = {
            prompt: pair_hash(prompts[c.chosen], texts[c.chosen], texts[c.rejected])
            for prompt, c in wanted.items()
        }
        seed, purpose = self._params.seed, f"judge-{self._round}"
        order = sorted(names, key=lambda prompt: rank_key(seed, "flip", purpose, names[prompt]))
        return set(order[: round(share * len(names))])

    def _pair_texts(self) -> None:
        """A pair's texts are those of the answers that it names."""
        rows = self._pairs
        for side in ("chosen", "rejected"):
            columns = (
                rows[name] for name in (f"{side}_id", side, f"{side}_finish_reason", "prompt_id")
            )
            for row, (own, *said) in enumerate(zip(*columns, strict=True), 1):
                place = self._place.get(own)
                if place is None:
                    self._found.fault(rows.name, f"{side}_id {own} is no answer of this round", row)
                    continue
                kept = [self._responses[c][place] for c in ("text", "finish_reason", "prompt_id")]
                if kept != said:
                    where = f"{self._responses.name}, row {place + 1}"
                    self._found.fault(rows.name, f"{side} differs from answer {own} ({where})", row)

    def _filtered(self) -> None:
        """Kept and flagged pairs are the judged ones, row for row, and together all of them."""
        pairs, kept, flagged = self._pairs, self._kept, self._flagged
        actions = dict(zip(flagged["pair_id"], flagged["action"], strict=True))
        dropped = {own for own, action in actions.items() if action != "warn"}
        wanted = [own for own in pairs["pair_id"] if own not in dropped]
        self._found.order(kept.name, kept["pair_id"], wanted, f"{pairs.name} and flagged.parquet")
        by_pairs = [own for own in pairs["pair_id"] if own in actions]
        self._found.order(flagged.name, flagged["pair_id"], by_pairs, pairs.name)
        for rows in (kept, flagged):
            check_copies(rows, pairs, JudgedPair, self._found)
        check_actions(flagged, self._params.filter.checks, self._found)
        counted = {"pairs": len(pairs), "kept": len(kept), "flagged": len(flagged)}
        check_counts(self._layout, self._round, flagged, counted, self._found)
