"""500 good pairs with four rows of every fault among them, made with a seed."""

import random
from dataclasses import dataclass, field
from typing import Any

from spa.checks import Known
from spa.records import JudgedPair
from spa.same_prompts import prompt_key

THINGS = (
    "bread river engine garden violin bridge candle market forest window kettle harbour".split()
)
PLACES = "village valley school kitchen castle island station meadow library workshop".split()
ACTS = "repair paint carry measure clean build sell admire study protect".split()
WHY = [
    "because the weather there changes quickly and nobody wants to wait",
    "since their grandparents taught them how much patience it needs",
    "although it costs more money than most families can easily spare",
    "so that visitors from other countries can enjoy it every summer",
    "while the older workers explain which tools should be used first",
]
GERMAN = "Das Brot geht langsam auf, weil die Hefe den Zucker im Teig frisst und dabei Gas macht."
FRENCH = "Le pain monte lentement parce que la levure mange le sucre de la farine et fait du gaz."
COPIES = 4


@dataclass
class FaultFile:
    """Pairs, what they are held against, and the reason that each faulty row must get."""

    pairs: list[JudgedPair] = field(default_factory=list)
    known: Known = field(default_factory=Known)
    wanted: dict[int, str] = field(default_factory=dict)


def good_pair(number: int, draw: random.Random) -> JudgedPair:
    thing, place = draw.choice(THINGS), draw.choice(PLACES)
    chosen, rejected = (
        f"People in the {draw.choice(PLACES)} {act} the {thing} {why}, and in week {number} they "
        f"{draw.choice(ACTS)} another {draw.choice(THINGS)} near the {draw.choice(PLACES)}."
        for act, why in zip(draw.sample(ACTS, 2), draw.sample(WHY, 2), strict=True)
    )
    question = f"Why do people of the {place} look after the {thing} in week {number}?"
    return JudgedPair(
        pair_id=f"p{number}", prompt_id=f"q{number}",
        prompt=[{"role": "user", "content": question}],
        chosen=chosen, rejected=rejected, chosen_finish_reason="stop",
        rejected_finish_reason="stop", chosen_id=f"a{number}", rejected_id=f"b{number}",
        margin=draw.uniform(0.5, 3.0), probability=0.6, method="implicit",
    )  # fmt: skip


def _changes(pair: JudgedPair, copy: int) -> dict[str, dict[str, Any]]:
    """Reason and what makes a good pair get it; sides take turns."""
    side = ("chosen", "rejected")[copy % 2]
    own = getattr(pair, side)
    question = pair.prompt[-1]["content"]
    long = f"{pair.chosen} {pair.chosen}"
    leaks = ("<|im_end|>", "\nHuman: go on", "</s>", " [INST] so")
    broken = ("caf\u00c3\u00a9 ", "it\u00e2\u20ac\u2122s ", "na\ufffdve ", "\u00c2\u00a3 5 ")
    return {
        "identical": {"rejected": pair.chosen},
        f"empty:{side}": {side: ""},
        f"blank:{side}": {side: (" ", "\n\n", "\t \n", "\u200b ")[copy]},
        f"wordless:{side}": {side: ("...", "👍", "?!", "- -")[copy]},
        f"template_leak:{side}": {side: own + leaks[copy]},
        "tie": {"margin": (0.0, 0.001, -0.0005, 0.0009)[copy]},
        "non_finite:margin": {"margin": (float("nan"), float("inf"))[copy % 2]},
        "near_identical": {"chosen": pair.chosen if copy % 2 else long,
                           "rejected": (f"{long} Yes.", pair.chosen.upper(), f"{long} So.",
                                        f"{pair.chosen} ")[copy]},
        f"cut:{side}": {f"{side}_finish_reason": "length"},
        f"repetition:{side}": {side: f"They {ACTS[copy]} it again and again. " * 6},
        f"prompt_echo:{side}": {side: question},
        f"other_language:{side}": {side: (GERMAN, FRENCH)[copy // 2]},
        f"mojibake:{side}": {side: broken[copy] + own},
        "length_ratio": {"chosen": " ".join(good_pair(1000 * copy + n, random.Random(n)).chosen
                                            for n in range(10)),
                         "rejected": "They do it well."},
    }  # fmt: skip


def make_fault_file(*, good: int, seed: int) -> FaultFile:
    """Faults stand in between the good rows, in an order drawn with the seed."""
    draw = random.Random(seed)
    rows = [(good_pair(n, draw), "") for n in range(good)]
    faulty: list[tuple[JudgedPair, str]] = []
    names = ("held_out", "earlier", "non_finite", "unended", "leaking")
    sets: dict[str, set[str]] = {name: set() for name in names}
    number = good
    for copy in range(COPIES):
        for reason in _changes(good_pair(number, draw), copy):
            pair = good_pair(number, draw)
            faulty.append((JudgedPair(**{**pair.row(), **_changes(pair, copy)[reason]}), reason))
            number += 1
        side = ("chosen", "rejected")[copy % 2]
        for reason, known in (("overlap", "held_out"), ("reused_prompt", "earlier"),
                              (f"non_finite:{side}", "non_finite"),
                              (f"missing_end:{side}", "unended"),
                              (f"template_leak:{side}", "leaking")):  # fmt: skip
            pair = good_pair(number, draw)
            on_prompt = known in ("held_out", "earlier")
            sets[known].add(prompt_key(pair.prompt) if on_prompt else getattr(pair, f"{side}_id"))
            faulty.append((pair, reason))
            number += 1
        first = good_pair(number, draw)
        turned = JudgedPair(**{**first.row(), "chosen": first.rejected, "rejected": first.chosen})
        twice = good_pair(number + 1, draw)
        faulty += [(first, "contradiction"), (turned, "contradiction"), (twice, "")]
        faulty.append((twice, "repeated"))
        number += 2
    for pair, reason in faulty:
        place = len(rows) if reason == "repeated" else draw.randrange(len(rows) + 1)
        rows.insert(place, (pair, reason))
    return FaultFile(
        pairs=[pair for pair, _ in rows],
        known=Known(**{name: frozenset(values) for name, values in sets.items()}),
        wanted={row: reason for row, (_, reason) in enumerate(rows) if reason},
    )
