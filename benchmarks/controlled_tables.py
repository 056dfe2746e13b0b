"""Study 1's results as Markdown: SPA against its cheapest explanation, gains, judges, policies."""

from collections.abc import Mapping, Sequence
from typing import Any

import study

from spa.metrics import Interval

BOTH = ("1", "2")
WITHOUT_ROUNDS = {"seed_steps": "0", "supervised": "0", "far_rival": "rival"}
"""Arms without rounds, and the policy that each is about: 21 steps on the seed (`supervised` only
makes its chosen answers likelier), and the seed policy amplified further."""
EQUIVALENT = 0.03
"""Random labels count as equivalent to the seed within this much rubric score (studies.md)."""
_KEYS = ("scores", "wins")

Row = dict[str, Any]


def tables(rows: Sequence[Row], rubrics: Sequence[str], names: Sequence[str]) -> str:
    """One part per rubric that has results, its arms in the order of `names`."""
    parts = []
    for rubric in rubrics:
        own = [row for row in rows if row["rubric"] == rubric]
        if own:
            arms = {arm: _by_seed(own, arm) for arm in names if _by_seed(own, arm)}
            parts += [f"## Rubric `{rubric}`", *_headline(arms), _gains(arms), *_verdicts(arms)]
            parts += [_judges(arms), _policies(arms)]
    return "\n\n".join(parts) + "\n"


def _by_seed(rows: Sequence[Row], arm: str) -> dict[int, Row]:
    return {row["seed"]: row for row in rows if row["arm"] == arm}


def _scores(row: Row, policy: str, key: str = "scores", pool: str = "test") -> list[float]:
    found: list[float] = row["policies"][policy][pool][key]
    return found


def _differences(
    first: Mapping[int, list[float]], second: Mapping[int, list[float]]
) -> list[list[float]]:
    """first - second, prompt by prompt, for every seed that has both."""
    seeds = sorted(set(first) & set(second))
    return [[a - b for a, b in zip(first[s], second[s], strict=True)] for s in seeds]


def _outcome(arms: Mapping[str, dict[int, Row]], arm: str, policy: str, key: str) -> dict[int, Any]:
    return {seed: _scores(row, policy, key) for seed, row in arms.get(arm, {}).items()}


def _last(arms: Mapping[str, dict[int, Row]], arm: str, key: str) -> dict[int, Any]:
    """The outcomes of the policy that an arm is about."""
    return _outcome(arms, arm, WITHOUT_ROUNDS.get(arm, "2"), key)


def _cheapest(arms: Mapping[str, dict[int, Row]], key: str) -> dict[int, list[float]]:
    """Per seed, of the rival and the seed alone with as many steps, the better on development."""
    found = {}
    for seed, row in arms.get("spa", {}).items():
        longer = arms.get("seed_steps", {}).get(seed)
        if longer is not None:
            options = [(row, "rival"), (longer, "0")]
            best = max(options, key=lambda option: _development(*option))
            found[seed] = _scores(*best, key)
    return found


def _development(row: Row, policy: str) -> float:
    scores = _scores(row, policy, pool="development")
    return sum(scores) / len(scores)


def _headline(arms: Mapping[str, dict[int, Row]]) -> list[str]:
    """SPA's last round against its cheapest explanation; and what oracle labels leave."""
    body = []
    for key, name in (("scores", "rubric score"), ("wins", "win rate over the base")):
        ours = _outcome(arms, "spa", "2", key)
        for other, theirs in (
            ("the better of rival and more seed steps", _cheapest(arms, key)),
            ("rival (amplified seed)", _outcome(arms, "spa", "rival", key)),
            ("seed alone, as many steps", _outcome(arms, "seed_steps", "0", key)),
            ("oracle labels", _outcome(arms, "oracle", "2", key)),
            ("random labels", _outcome(arms, "random", "2", key)),
        ):
            body += _against(name, f"SPA, round 2, minus {other}", ours, theirs)
        started, further = _last(arms, "from_rival", key), _last(arms, "far_rival", key)
        body += _against(name, "`from_rival`, round 2, minus `far_rival`", started, further)
    if not body:
        return []
    header = ["of", "difference", "seeds", "n", "points", "p"]
    return [study.markdown("SPA against its cheapest explanation", header, body)]


def _against(
    name: str, what: str, ours: Mapping[int, Any], theirs: Mapping[int, Any]
) -> list[list[str]]:
    """A row of the headline, where both sides have a seed in common."""
    differences = _differences(ours, theirs)
    if not differences:
        return []
    interval, p = study.over_seeds(differences)
    cells = [str(len(differences)), str(interval.n), study.percent(interval)]
    return [[name, what, *cells, f"{p:.4f}"]]


def _gains(arms: Mapping[str, dict[int, Row]]) -> str:
    """Every arm's last policy against the seed policy that it started from, and against SPA's."""
    gains = {}
    for arm in arms:
        start = "spa" if arm in WITHOUT_ROUNDS else arm
        pairs = [(_last(arms, arm, k), _outcome(arms, start, "0", k)) for k in _KEYS]
        found = [_differences(*pair) for pair in pairs]
        if found[0]:
            gains[arm] = [study.over_seeds(differences) for differences in found]
    adjusted = study.holm({arm: found[0][1] for arm, found in gains.items()})
    body = [
        [
            arm,
            str(len(arms[arm])),
            *(study.percent(interval) for interval, _ in found),
            f"{adjusted[arm]:.4f}",
            _beside_spa(arms, arm),
        ]
        for arm, found in gains.items()
    ]
    header = [
        "arm", "seeds", "rubric score", "win rate over the base", "p (score, Holm)",
        "score minus SPA's",
    ]  # fmt: skip
    return study.markdown("Gain over the seed policy after two rounds, points", header, body)


def _beside_spa(arms: Mapping[str, dict[int, Row]], arm: str) -> str:
    """Rubric score of an arm's last policy minus that of `spa` on the same seeds; descriptive."""
    found = _differences(_last(arms, arm, "scores"), _last(arms, "spa", "scores"))
    return study.percent(study.over_seeds(found)[0]) if found and arm != "spa" else "-"


def _verdicts(arms: Mapping[str, dict[int, Row]]) -> list[str]:
    """What the plan promised to say in words: gap recovered, equivalence, direction."""
    gains = {arm: _gain(arms, arm) for arm in ("spa", "oracle", "random", "inverted")}
    found = []
    oracle, random, inverted = (gains[arm] for arm in ("oracle", "random", "inverted"))
    if oracle:
        found.append(f"- Gap recovered: {_recovered(gains['spa'], oracle)}.")
    if random:
        inside = -EQUIVALENT < random.low and random.high < EQUIVALENT
        verdict = "equivalent" if inside else "not shown to be equivalent"
        margin = f"within {100 * EQUIVALENT:g} points of rubric score"
        found.append(f"- Random labels are {verdict} to the seed alone {margin}.")
    if inverted:
        found.append(
            f"- Inverted labels {'fell' if inverted.high < 0 else 'did not clearly fall'}."
        )
    return ["\n".join(found)] if found else []


def _gain(arms: Mapping[str, dict[int, Row]], arm: str) -> Interval | None:
    """Rubric score of an arm's last policy minus the seed policy's."""
    found = _differences(_outcome(arms, arm, "2", "scores"), _outcome(arms, arm, "0", "scores"))
    return study.over_seeds(found)[0] if found else None


def _recovered(ours: Interval | None, oracle: Interval) -> str:
    """(SPA - seed) / (oracle - seed), where the oracle's gain is clear of zero."""
    if ours is None or oracle.low <= 0:
        return f"not told, as the oracle's gain is {study.percent(oracle)}"
    return f"{ours.mean / oracle.mean:.2f} of the oracle's gain in rubric score"


def _judges(arms: Mapping[str, dict[int, Row]]) -> str:
    """How often each arm's labels are right, beside what other judges say of the same pairs."""
    body = []
    for arm, by_seed in arms.items():
        for name in BOTH:
            pairs = [p for row in by_seed.values() for p in row["judged"].get(name, [])]
            decided = [p for p in pairs if p["gold"] != 0.5]
            if decided:
                right = sum(p["gold"] > 0.5 for p in decided) / len(decided)
                peers = [study.share_right(decided, judge) for judge in ("likelihood", "length")]
                body.append(
                    [arm, name, str(len(decided)), *(f"{100 * x:.1f}" for x in (right, *peers))]
                )
    header = ["arm", "round", "pairs", "labels right, %", "likelihood, %", "shorter, %"]
    return study.markdown("Labels of the rounds against the rubric, seeds pooled", header, body)


def _policies(arms: Mapping[str, dict[int, Row]]) -> str:
    """Means over seeds of every policy's figures."""
    keys = ("gold_reward", "win_rate", "kl_to_base", "mean_tokens", "finished", "heldout_accuracy")
    body = []
    for arm, by_seed in arms.items():
        for policy in ("base", "0", *BOTH, "rival"):
            rows = [r["policies"][policy] for r in by_seed.values() if policy in r["policies"]]
            shared = arm != "spa" and policy in ("base", "0", "rival")
            if policy == WITHOUT_ROUNDS.get(arm):
                shared = False
            if rows and not shared:
                means = [[row[key] for row in rows if key in row] for key in keys]
                cells = [f"{sum(values) / len(values):.3f}" if values else "-" for values in means]
                body.append([arm, policy, str(len(rows)), *cells])
    header = ["arm", "policy", "seeds", "score", "win rate", "KL", "tokens", "finished", "held-out"]
    return study.markdown("Every policy on the test prompts, mean over seeds", header, body)
