"""Prompts that two pools share, though not to the letter: told before anything is trained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from spa.contract import Action
from spa.params import Params
from spa.records import Pair, Prompt
from spa.same_prompts import prompt_key, prompt_keys
from spa.splits import Pools

Check = Literal["overlap", "reused_prompt"]


@dataclass(frozen=True)
class MetAgain:
    """Prompts of a round that another pool has too, though not to the letter.

    Attributes:
        round: the round.
        check: the check that speaks against their pairs.
        action: what it does in this round.
        pools: those that have the prompts too.
        count: how many prompts.
        first: the text of the first one.
    """

    round: str
    check: Check
    action: Action
    pools: tuple[str, ...]
    count: int
    first: str

    def __str__(self) -> str:
        follows = {
            "stop": f"wanted none, as filter@{self.round} would stop (filter.checks.{self.check}); "
            "take one of each out of the data, or let the check drop",
            "drop": f"filter@{self.round} drops their pairs",
            "warn": f"filter@{self.round} warns of their pairs",
            "off": f"filter.checks.{self.check} is off",
        }[self.action]
        return (
            f"{self.count} prompts of round {self.round} are those of {', '.join(self.pools)} but "
            "for case, blanks, Unicode form and final punctuation, first "
            f"{self.first!r:.80}; {follows}"
        )


def met_again(pools: Pools, params: Params) -> Iterator[MetAgain]:
    """Every round's prompts that held-out pools, the seed or earlier rounds have too.

    Args:
        pools: as they were drawn; a prompt with all its letters is in one of them only.
        params: say what the checks do in which round.
    """
    held_out: dict[str, Sequence[Pair | Prompt]] = {
        "test": pools.test,
        "development": pools.development,
        "gold": pools.gold,
        "the seed": pools.seed,
    }
    known: dict[Check, dict[str, str]] = {
        "overlap": {key: name for name, rows in held_out.items() for key in prompt_keys(rows)},
        "reused_prompt": {},
    }
    for name, prompts in pools.rounds.items():
        checks = params.for_round(int(name)).filter.checks
        keys = [prompt_key(prompt.prompt) for prompt in prompts]
        for check, places in known.items():
            again = [i for i, key in enumerate(keys) if key in places]
            if again:
                yield MetAgain(
                    round=name,
                    check=check,
                    action=checks[check].action,
                    pools=tuple(sorted({places[keys[i]] for i in again})),
                    count=len(again),
                    first=prompts[again[0]].prompt[-1]["content"],
                )
        known["reused_prompt"] |= dict.fromkeys(keys, f"round {name}")
