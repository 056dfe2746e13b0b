"""What a round's data contract reads, for the stage `filter` and the tool `docs`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._context import Context

if TYPE_CHECKING:
    from spa.checks.suites import Suite
    from spa.records import JudgedPair, Response


@dataclass(frozen=True)
class RoundRecords:
    """A round's pairs and answers, the suite of its pairs, and those of the files around them."""

    pairs: "list[JudgedPair]"
    responses: "list[Response]"
    pair_suite: "Suite"
    others: "list[Suite]"


def read_round(here: Context, round: int) -> RoundRecords:
    """Read and measure all record files that the contract of a round is about.

    Raises:
        ArtefactError: a file of an earlier stage is missing.
    """
    from spa.checks.measures import Known, prompt_key
    from spa.checks.record_suites import (
        held_out_suite,
        non_finite,
        prompt_suite,
        response_suite,
        unended,
    )
    from spa.checks.running import pair_suite
    from spa.checks.suites import INPUT_CHECKS
    from spa.files import read_table
    from spa.models import load_encoder
    from spa.records import JudgedPair, Pair, Prompt, Response, Score

    layout = here.layout
    pairs = read_table(layout.pairs(round), JudgedPair)
    responses = read_table(layout.responses(round), Response)
    development, test = (read_table(layout.pool(p), Prompt) for p in ("development", "test"))
    gold, seed = (read_table(layout.pool(p), Pair) for p in ("gold", "seed"))
    known = Known(
        held_out={
            *(prompt_key(row.prompt) for row in (*development, *test)),
            *(prompt_key(row.prompt) for row in (*gold, *seed)),
        },
        earlier={prompt_key(row.prompt) for row in read_table(layout.earlier(round), Prompt)},
        non_finite=non_finite(responses, read_table(layout.scores(round), Score)),
        unended=unended(responses, load_encoder(layout.policy("base")).end_of_turn),
    )
    others = [
        pair_suite(seed, INPUT_CHECKS, Known(), name="input"),
        held_out_suite([*development, *test]),
        prompt_suite(read_table(layout.pool(round), Prompt), known),
        response_suite(responses, known),
    ]
    checks = here.params.filter.checks
    return RoundRecords(pairs, responses, pair_suite(pairs, checks, known), others)
