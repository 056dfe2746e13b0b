"""What a round's data contract reads, for the stage `filter` and the tool `docs`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._context import Context

if TYPE_CHECKING:
    from spa.checks.suites import Suite
    from spa.records import JudgedPair, Response


@dataclass(frozen=True)
class RoundRecords:
    """A round's pairs and answers, the suite of its pairs, and those of the files around them.

    `given` are the suites of people's pairs, which `split` has enforced.
    """

    pairs: "list[JudgedPair]"
    responses: "list[Response]"
    pair_suite: "Suite"
    others: "list[Suite]"
    given: "list[Suite]"


def read_round(here: Context, round: int) -> RoundRecords:
    """Read and measure all record files that the contract of a round is about.

    Raises:
        ArtefactError: a file of an earlier stage is missing.
    """
    from spa.checks.measures import Known
    from spa.checks.record_suites import (
        held_out_suite,
        leaking,
        non_finite,
        prompt_suite,
        response_suite,
        unended,
    )
    from spa.checks.running import pair_suite
    from spa.contract import of_given_pairs
    from spa.models import load_encoder
    from spa.records import JudgedPair, Pair, Prompt, Response, Score
    from spa.same_prompts import prompt_keys
    from spa.tables import read_table

    layout = here.layout
    pairs = read_table(layout.pairs(round), JudgedPair)
    responses = read_table(layout.responses(round), Response)
    development, test = (read_table(layout.pool(p), Prompt) for p in ("development", "test"))
    gold, seed = (read_table(layout.pool(p), Pair) for p in ("gold", "seed"))
    held_out = prompt_keys([*development, *test, *gold])
    encoder = load_encoder(layout.policy("base"))
    known = Known(
        held_out=held_out | prompt_keys(seed),
        earlier=prompt_keys(read_table(layout.earlier(round), Prompt)),
        non_finite=non_finite(responses, read_table(layout.scores(round), Score)),
        unended=unended(responses, encoder.end_of_turn),
        leaking=leaking(responses, encoder.special),
    )
    checks = here.params.filter.checks
    own = of_given_pairs(checks)
    given = [
        pair_suite(seed, own, Known(held_out=held_out), name="input"),
        pair_suite(gold, own, Known(), name="gold"),
    ]
    others = [
        held_out_suite([*development, *test]),
        prompt_suite(read_table(layout.pool(round), Prompt), known),
        response_suite(responses, known),
    ]
    return RoundRecords(pairs, responses, pair_suite(pairs, checks, known), others, given)
