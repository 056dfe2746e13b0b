"""All annotators of a run side by side: what each says of every policy, and which can be gamed."""

from collections.abc import Mapping, Sequence
from typing import Any

from spa.files import read_json
from spa.layout import Layout

GAMEABLE = 0.5
"""An annotator that prefers a constant answer more often than this can be gamed."""


def read_panel(layout: Layout, rounds: Sequence[str]) -> dict[str, Any]:
    """What every annotator says.

    Returns:
        `first`: the annotator that gives the win rate. `policies`: per round, base and rival
        the win rates by annotator and the agreement of any two. `null_win_rate`: by annotator,
        how often it prefers a constant answer to the base's, and `null_interval` the same with its
        bounds and `n`; `gameable` names those that do so more often than not.

    Raises:
        ArtefactError: an evaluation is missing.
    """
    metrics = {
        name: read_json(layout.evaluation(name) / "metrics.json")
        for name in ["base", "0", *rounds, "rival"]
    }
    null = metrics["base"]["null_win_rate"]
    return {
        "first": metrics["base"]["annotator"],
        "policies": {
            name: {"annotators": own["annotators"], "agreement": own["agreement"]}
            for name, own in metrics.items()
        },
        "null_win_rate": null,
        "null_interval": metrics["base"]["null_interval"],
        "gameable": sorted(name for name, share in null.items() if (share or 0) > GAMEABLE),
    }


def panel_in_words(panel: Mapping[str, Any]) -> list[str]:
    """What the annotators beside the first one say, and a warning of those that can be gamed."""
    policies = {k: v for k, v in panel["policies"].items() if k != "base"}
    last = max((name for name in policies if name.isdigit()), key=int)
    others = [name for name in policies[last]["annotators"] if name != panel["first"]]
    sentences = []
    for name in others:
        rates = ", ".join(
            f"{policy} {_rate(own['annotators'][name])}" for policy, own in policies.items()
        )
        sentences.append(f"By {name} the win rates are: {rates}. {_agreement(panel, last, name)}")
    return [*sentences, *(_gameable(panel, name) for name in panel["gameable"])]


def _gameable(panel: Mapping[str, Any], name: str) -> str:
    null = panel["null_interval"][name]
    sure = "" if null["win_rate_low"] > GAMEABLE else " (so few do not tell it from half)"
    return (
        f"{name} prefers a constant answer, whatever was asked, to the base's in {_rate(null)} of "
        f"{null['n']} prompts{sure}: it can be gamed, and its win rates say little."
    )


def _rate(own: Mapping[str, Any]) -> str:
    if own["win_rate"] is None:
        return "unknown (it named no better answer)"
    return f"{own['win_rate']:.1%} [{own['win_rate_low']:.1%}, {own['win_rate_high']:.1%}]"


def _agreement(panel: Mapping[str, Any], round: str, name: str) -> str:
    first = panel["first"]
    pairs = panel["policies"][round]["agreement"]
    found = next(pair for pair in pairs if pair["annotators"] == [first, name])
    if found["agreement"] is None:
        return f"On round {round} it and {first} never both decide."
    return (
        f"On round {round} it agrees with {first} on {found['agreement']:.1%} of the {found['n']} "
        "prompts that both decide."
    )
