"""Stage `split`: draw all pools from the raw data."""

from typing import TYPE_CHECKING, Any

from stages._context import stage_context

if TYPE_CHECKING:
    from spa.importing.instructions import Instruction


def main() -> None:
    """Draw seed pairs, prompts of every round and held-out sets from the raw data.

    A prompt is in one pool only, and all its pairs go with it. A new round changes no pool
    that was there before.
    """
    from spa.files import replace_folder, write_json, write_table
    from spa.importing.instructions import read_instructions
    from spa.importing.pairs import read_pairs
    from spa.importing.prompts import read_prompts
    from spa.manifest import write_manifest
    from spa.records import Pair, Prompt
    from spa.splits import flip_labels, partition
    from spa.tracking.stages import track

    with stage_context() as here:
        layout, split, seed = here.layout, here.params.split, here.params.seed
        with track(layout, "split", None, split.model_dump()) as run:
            imported = (
                read_pairs(split.source, layout.root, system=split.system) if split.source else None
            )
            instructions = (
                read_instructions(split.instructions, layout.root, system=split.system)
                if split.instructions
                else None
            )
            pools = partition(
                imported.pairs if imported else [],
                read_prompts(split.prompts, layout.root, system=split.system)
                if split.prompts
                else [],
                seed=seed,
                seed_pairs=split.seed_pairs,
                development=split.development,
                test=split.test,
                gold=split.gold,
                round_sizes={name: line.prompts for name, line in here.params.rounds.items()},
                instructions=[i.prompt for i in instructions] if instructions else None,
            )
            seeds = flip_labels(pools.seed, split.flip_seed_labels, seed=seed, name="seed")
            pairs = {"seed": seeds, "gold": pools.gold, "hidden_gold": pools.hidden_gold}
            turned = [b.pair_id for a, b in zip(pools.seed, seeds, strict=True) if a != b]
            prompts = {"test": pools.test, "development": pools.development, **pools.rounds}
            with replace_folder(layout.pools) as folder:
                for name, rows in pairs.items():
                    write_table(folder / f"{name}.parquet", rows, Pair)
                for name, questions in prompts.items():
                    write_table(folder / f"{name}.parquet", questions, Prompt)
                before: list[Prompt] = []
                for name, questions in pools.rounds.items():
                    write_table(folder / layout.earlier(name).name, before, Prompt)
                    before = [*before, *questions]
                write_json(folder / layout.flipped_seed.name, turned)
                given = reference_outputs((instructions or [])[: split.test])
                write_json(folder / layout.reference_outputs.name, given)
            counts = {name: len(rows) for name, rows in pairs.items()}
            counts |= {name: len(questions) for name, questions in prompts.items()}
            run.metrics({f"pool/{name}": count for name, count in counts.items()})
        write_manifest(layout, "split")
        if imported:
            print(f"split: {imported.summary(str(split.source))}")
        print("split: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def reference_outputs(instructions: "list[Instruction]") -> list[dict[str, Any]]:
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
