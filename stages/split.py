"""Stage `split`: draw all pools from the raw data."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stages._context import stage_context
from stages._terminal import plain

if TYPE_CHECKING:
    from spa.checks import Outcome
    from spa.contract import Filter
    from spa.importing.instructions import Instruction
    from spa.layout import Layout
    from spa.params import Params
    from spa.records import FlaggedSeedPair, Pair, Prompt
    from spa.splits import Pools


def main() -> None:
    """Draw seed pairs, prompts of every round and held-out sets from the raw data.

    A prompt is in one pool only, and all its pairs go with it. A new round changes no pool
    that was there before. Seed and gold pairs that a data check speaks against are flagged with
    the reasons; those that filter.checks drops are not trained or evaluated on.
    """
    from dataclasses import replace

    from spa.files import replace_folder, write_json
    from spa.manifest import write_manifest
    from spa.raw_data import draw_pools, flip_seed_labels, read_raw_data
    from spa.records import FlaggedSeedPair, Pair, Prompt
    from spa.tables import write_table
    from spa.tracking.stages import track

    with stage_context() as here:
        layout, split = here.layout, here.params.split
        with track(layout, "split", None, split.model_dump()) as run:
            raw = read_raw_data(layout, split)
            pools = draw_pools(here.params, raw)
            seeds = flip_seed_labels(here.params, pools.seed)
            held_out: list[Pair | Prompt] = [*pools.test, *pools.development, *pools.gold]
            checked = {
                "seed": check_given(seeds, held_out, here.params.filter),
                "gold": check_given(pools.gold, [], here.params.filter),
            }
            with replace_folder(layout.pools) as folder:
                counts = write_pools(folder, layout, replace(pools, seed=seeds))
                for place, name in ((layout.flagged(0), "seed"), (layout.flagged("gold"), "gold")):
                    write_table(folder / place.name, flagged_rows(checked[name]), FlaggedSeedPair)
                turned = [b.pair_id for a, b in zip(pools.seed, seeds, strict=True) if a != b]
                write_json(folder / layout.flipped_seed.name, turned)
                given = reference_outputs((raw.instructions or [])[: split.test])
                write_json(folder / layout.reference_outputs.name, given)
            run.metrics({f"pool/{name}": count for name, count in counts.items()})
            run.metrics({f"flag/{reason}": n for reason, n in checked["seed"].counts.items()})
            stop_if_broken(checked["seed"], here.params.filter, round=0)
            stop_if_broken(checked["gold"], here.params.filter, round="gold")
            again = stop_if_met_again(pools, here.params)
        write_manifest(layout, "split")
        if raw.summary:
            print(f"split: {plain(raw.summary)}")
        print("split: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
        for text in again:
            print(f"warning: {plain(text)}")
        for name, end, option in (
            ("seed", "trained on", "--round 0"),
            ("gold", "evaluated on", "--gold"),
        ):
            if dropped := checked[name].dropped:
                print(
                    f"warning: {dropped} of {counts[name]} {name} pairs are not {end}; "
                    f"`spa flagged {option}` says why"
                )


def write_pools(folder: Path, layout: "Layout", pools: "Pools") -> dict[str, int]:
    """Write every pool and each round's earlier prompts; returns how many rows each pool has."""
    from spa.records import Pair, Prompt
    from spa.tables import write_table

    pairs = {"seed": pools.seed, "gold": pools.gold, "hidden_gold": pools.hidden_gold}
    prompts = {"test": pools.test, "development": pools.development, **pools.rounds}
    for name, rows in pairs.items():
        write_table(folder / layout.pool(name).name, rows, Pair)
    for name, questions in prompts.items():
        write_table(folder / layout.pool(name).name, questions, Prompt)
    _write_earlier(folder, layout, pools.rounds)
    counts = {name: len(rows) for name, rows in pairs.items()}
    return counts | {name: len(questions) for name, questions in prompts.items()}


def check_given(
    pairs: "Sequence[Pair]", held_out: "Sequence[Pair | Prompt]", settings: "Filter"
) -> "Outcome[Pair]":
    """Hold people's pairs against the checks that need no scores; imported here, as it takes
    seconds that a broken row should not have to wait for."""
    from spa.checks import run_checks
    from spa.contract import of_given_pairs
    from spa.same_prompts import prompt_keys

    return run_checks(pairs, of_given_pairs(settings.checks), held_out=prompt_keys(held_out))


def flagged_rows(outcome: "Outcome[Pair]") -> "list[FlaggedSeedPair]":
    """The pairs that a check speaks against, as they are kept."""
    from spa.records import FlaggedSeedPair

    return [
        FlaggedSeedPair(**flag.pair.row(), reasons=flag.reasons, action=flag.action)
        for flag in outcome.flagged
    ]


def stop_if_broken(
    outcome: "Outcome[Pair]", settings: "Filter", *, round: "Literal[0, 'gold']"
) -> None:
    """Stop where a check's action is `stop`, or too large a share of the pairs is dropped."""
    from spa.checks import enforce, judge_dropped

    enforce(outcome, [judge_dropped(outcome, settings)], round=round)


def stop_if_met_again(pools: "Pools", params: "Params") -> list[str]:
    """Stop where a round has a prompt that its filter would stop at; what else there is to tell."""
    from spa.errors import ContractError
    from spa.overlaps import met_again

    found = [again for again in met_again(pools, params) if again.action != "off"]
    for again in found:
        if again.action == "stop":
            raise ContractError(f"split: {again}")
    return [str(again) for again in found]


def _write_earlier(folder: Path, layout: "Layout", rounds: "dict[str, list[Prompt]]") -> None:
    """For every round, the prompts of the rounds before it."""
    from spa.records import Prompt
    from spa.tables import write_table

    before: list[Prompt] = []
    for name, questions in rounds.items():
        write_table(folder / layout.earlier(name).name, before, Prompt)
        before = [*before, *questions]


def reference_outputs(instructions: "Sequence[Instruction]") -> list[dict[str, Any]]:
    """The answers that instructions come with, as AlpacaEval's outputs."""
    return [
        {
            "dataset": "test",
            "finish_reason": "stop",
            "generator": given.generator,
            "instruction": given.prompt.prompt[-1]["content"],
            "output": given.output,
            "prompt_id": given.prompt.prompt_id,
        }
        for given in instructions
        if given.output is not None
    ]
