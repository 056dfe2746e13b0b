"""What is known of a round that is published, from the files of its run alone."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from spa.errors import ArtefactError
from spa.export.ancestry import rounds_of
from spa.export.pairs import PublishedPairs, read_pairs
from spa.export.sources import Sources
from spa.files import check_version, read_json
from spa.layout import Layout
from spa.params import Params
from spa.records import SCHEMA_VERSION
from spa.report_words import gains_in_words, judges_in_words

Row = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """Everything that cards and metrics.json say.

    `rounds` are those whose pairs the policy was trained on, `rows` the figures of base, seed
    policy, these rounds and rival, in this order; `evaluation` and `calibration` are the whole
    metrics.json of each by round; `models` the hashes of policies, also of the base.
    """

    round: int
    params: Params
    rounds: list[int]
    rows: list[Row]
    gains: list[str]
    judges: list[str]
    health: str | None
    recommended: str
    evaluation: dict[str, Row]
    calibration: dict[str, Row]
    models: dict[str, str]
    pairs: PublishedPairs
    root_hash: str

    @property
    def row(self) -> Row:
        """The figures of the policy itself."""
        return next(row for row in self.rows if row["round"] == str(self.round))

    @property
    def constant_wins(self) -> float | None:
        """How often the annotator prefers a constant answer to the base's, where it was asked."""
        found = self.evaluation["base"].get("null_win_rate") or {}
        share: float | None = found.get(self.row["annotator"])
        return share

    @property
    def starts_from(self) -> str:
        """The policy that the first of the rounds starts from, `0` or `rival`."""
        return self.params.round(self.rounds[0]).prev if self.rounds else "0"

    @property
    def decisions(self) -> list[Row]:
        """What the data checks made of each round's pairs."""
        found = []
        for number in self.rounds:
            kept = self.pairs.trained[f"round-{number}"]
            dropped = sum(pair.round == number for pair in self.pairs.dropped)
            warned = sum(pair.decision == "warned" for pair in kept)
            found.append(
                {"round": number, "trained": len(kept), "warned": warned, "dropped": dropped}
            )
        return found

    @property
    def reasons(self) -> list[tuple[str, int, int]]:
        """Every reason of the data checks, how many pairs it warns of and drops."""
        kept = [pair for own in self.pairs.trained.values() for pair in own]
        warned = Counter(reason for pair in kept for reason in pair.reasons)
        dropped = Counter(reason for pair in self.pairs.dropped for reason in pair.reasons)
        return [(name, warned[name], dropped[name]) for name in sorted({*warned, *dropped})]

    def metrics(self) -> Row:
        """What metrics.json holds."""
        return {
            "schema_version": SCHEMA_VERSION,
            "round": self.round,
            "recommended_round": self.recommended,
            "rounds": self.rows,
            "evaluation": self.evaluation,
            "calibration": self.calibration,
        }


def read_facts(sources: Sources, layout: Layout, params: Params, round: int) -> Facts:
    """Gather the facts of a round.

    Raises:
        ArtefactError: a file is missing, or is not the one that its stage wrote.
        ParamsError: params.yaml has no such round.
    """
    rounds = rounds_of(params, round)
    names = ["base", "0", *map(str, rounds), "rival"]
    file = sources.file(layout.report / "summary.json")
    told = _told(layout.show(file), read_json(file), names, params)
    return Facts(
        round=round,
        params=params,
        rounds=rounds,
        **told,
        evaluation={
            name: read_json(sources.file(layout.evaluation(name) / "metrics.json"))
            for name in names
        },
        calibration={
            str(number): read_json(sources.file(layout.calibration(number) / "metrics.json"))
            for number in rounds
        },
        models={name: sources.model(name) for name in names},
        pairs=read_pairs(sources, layout, params, round),
        root_hash=sources.root_hash,
    )


def _told(file: str, summary: Any, names: list[str], params: Params) -> dict[str, Any]:
    """What summary.json says of these policies: figures, and the report's words on them.

    Raises:
        ArtefactError: it has another form.
    """
    try:
        check_version(file, summary.get("schema_version"))
        by_name = {row["round"]: row for row in summary["rounds"]}
        rows = [by_name[name] for name in names]
        own = names[-2]  # of base, the seed policy, rounds and the rival
        health = summary.get("health", {}).get(own)
        return {
            "rows": rows,
            "gains": gains_in_words(rows, own) if own != "0" else [],
            "judges": judges_in_words(rows, flipped=params.split.flip_seed_labels),
            "health": health["words"] if health else None,
            "recommended": summary["recommended_round"],
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ArtefactError(
            f"{file}: found no {error}; wanted the figures of {', '.join(names)}; run `dvc repro`"
        ) from error
