"""What the user gave: the rows of `split`'s sources, and the pools drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from spa.importing.files import refuse_links
from spa.importing.instructions import Instruction, read_instructions
from spa.importing.pairs import read_pairs
from spa.importing.prompts import read_prompts
from spa.layout import Layout
from spa.params import Params, Split
from spa.records import Pair, Prompt
from spa.splits import Pools, flip_labels, partition


@dataclass(frozen=True)
class RawData:
    """All rows that `split` reads.

    Attributes:
        pairs: of `split.source`, each once.
        prompts: of `split.prompts`.
        instructions: of `split.instructions`, or None where the test prompts are drawn.
        summary: one line on what was read of `split.source`, where it was read.
    """

    pairs: list[Pair]
    prompts: list[Prompt]
    instructions: list[Instruction] | None
    summary: str | None = None

    def without(self, prompt_id: str) -> "RawData":
        """As if nobody had ever given one of the prompts."""
        given = self.instructions
        return replace(
            self,
            pairs=[pair for pair in self.pairs if pair.prompt_id != prompt_id],
            prompts=[prompt for prompt in self.prompts if prompt.prompt_id != prompt_id],
            instructions=given and [one for one in given if one.prompt.prompt_id != prompt_id],
        )


def read_raw_data(layout: Layout, split: Split) -> RawData:
    """Read every source.

    Raises:
        InputError: a source or one of its rows cannot be read; names file, row and field.
    """
    root, system = layout.root, split.system
    for name in (split.source, split.prompts, split.instructions):
        if name:
            refuse_links(name, root)
    source = read_pairs(split.source, root, system=system) if split.source else None
    asked = split.instructions
    return RawData(
        pairs=source.pairs if source else [],
        prompts=read_prompts(split.prompts, root, system=system) if split.prompts else [],
        instructions=read_instructions(asked, root, system=system) if asked else None,
        summary=source.summary(str(split.source)) if source else None,
    )


def flip_seed_labels(params: Params, pairs: Sequence[Pair]) -> list[Pair]:
    """The seed with `split.flip_seed_labels` of its labels turned round."""
    return flip_labels(pairs, params.split.flip_seed_labels, seed=params.seed, name="seed")


def pools_as_split(params: Params, raw: RawData) -> Pools:
    """The pools that stage `split` writes: drawn, and seed labels turned round.

    Raises:
        InputError: as `draw_pools`.
    """
    pools = draw_pools(params, raw)
    return replace(pools, seed=flip_seed_labels(params, pools.seed))


def draw_pools(params: Params, raw: RawData) -> Pools:
    """All pools, labels as they were given.

    Raises:
        InputError: there are too few pairs or prompts.
    """
    split = params.split
    return partition(
        raw.pairs,
        raw.prompts,
        seed=params.seed,
        seed_pairs=split.seed_pairs,
        development=split.development,
        test=split.test,
        gold=split.gold,
        round_sizes={name: line.prompts for name, line in params.rounds.items()},
        instructions=None if raw.instructions is None else [i.prompt for i in raw.instructions],
    )
