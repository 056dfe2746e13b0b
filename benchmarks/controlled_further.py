"""Study 1, further: answers of four times the length, a base that is asked for the style, health.

    python benchmarks/controlled_further.py run --rubric easy   # in a pipeline that just ended
    python benchmarks/controlled_further.py table

What it asks and how it is read: docs/studies.md. `run` appends one line to
benchmarks/results/controlled_further.jsonl.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import study
from controlled_preferences import RESULTS as RUNS
from controlled_preferences import RUBRICS, SYSTEM

from spa.annotation.rubric_annotator import load_rubric
from spa.degeneracy import distinct_pairs
from spa.encoding import Encoder
from spa.files import read_json
from spa.generation.responses import sample_responses
from spa.generation.transformers_engine import TransformersEngine
from spa.layout import Layout
from spa.logprobs import score
from spa.models import Policy, choose_generate_batch, load_policy
from spa.param_files import load_compute, load_params
from spa.params import Params
from spa.records import Message, Prompt
from spa.tables import read_table

RESULTS = study.ROOT / "benchmarks" / "results" / "controlled_further.jsonl"
POLICIES = ("base", "0", "2")
LONGER, LONG_PROMPTS = 4, 60
ASKED = {
    "easy": "Use short and simple words, and short sentences.",
    "short": "Answer in as few words as you can.",
    "long": "Answer at length, in as many words as you can.",
}
"""How a user would ask for what each rubric wants; the system turn's second sentence then."""


class Pipeline:
    """A finished pipeline of the study, whose policies are asked again."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._params: Params = load_params(layout.params)
        self._compute = load_compute(layout.compute)
        self._rubric = load_rubric(self._params.rubric, layout.root)
        self._test = read_table(layout.pool("test"), Prompt)

    def run(self, rubric: str) -> dict[str, Any]:
        """Figures of each policy, and of the base asked for what the rubric wants."""
        policies, prompted = {}, {}
        for name in POLICIES:
            policy = load_policy(self._layout.policy(name), self._compute)
            policies[name] = {
                "long": self._scores(policy, self._test[:LONG_PROMPTS], longer=LONGER),
                "nats_per_token": self._nats_on_the_bases_answers(policy),
            }
            if name == "base":
                prompted = self._scores(policy, [_asked(rubric, p) for p in self._test])
        return {"seed": self._params.seed, "policies": policies, "prompted": prompted}

    def _scores(self, policy: Policy, prompts: Sequence[Prompt], longer: int = 1) -> dict[str, Any]:
        own = self._params.evaluate
        engine = TransformersEngine(
            policy,
            temperature=own.temperature,
            max_new_tokens=longer * own.max_new_tokens,
            batch=choose_generate_batch(self._compute),
        )
        answers = sample_responses(
            engine, policy.encoder, prompts, samples=1, seed=self._params.seed,
            names=("evaluate",), model="further",
        )  # fmt: skip
        return {
            "prompts": [answer.prompt_id for answer in answers],
            "scores": self._rubric.rate([(a.prompt, study.answer(a)) for a in answers]),
            "tokens": sum(len(a.token_ids) for a in answers) / len(answers),
            "finished": sum(a.finish_reason == "stop" for a in answers) / len(answers),
            "distinct_2": distinct_pairs([answer.text for answer in answers]),
        }

    def _nats_on_the_bases_answers(self, policy: Policy) -> float:
        """Negative log-likelihood per token of the base's own test answers."""
        known = {prompt.prompt_id: prompt.prompt for prompt in self._test}
        rows = read_json(self._layout.evaluation("base") / "outputs.json")
        sequences = [
            _sequence(policy.encoder, known[row["prompt_id"]], row)
            for row in rows
            if row["prompt_id"] in known
        ]
        logps = score(policy.model, sequences, token_budget=self._compute.score_tokens)
        return -math.fsum(map(math.fsum, logps)) / sum(map(len, logps))


def _sequence(encoder: Encoder, prompt: Any, row: Mapping[str, Any]) -> Any:
    return encoder.sequence(prompt, row["output"], row["finish_reason"])


def _asked(rubric: str, prompt: Prompt) -> Prompt:
    asked = SYSTEM.partition(". ")[0] + ". " + ASKED[rubric]
    turns: list[Message] = [
        {**turn, "content": asked} if turn["role"] == "system" else turn for turn in prompt.prompt
    ]
    return Prompt(prompt_id=prompt.prompt_id, prompt=turns)


def table(rows: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]]) -> str:
    """Per rubric: scores at four times the length, beside a base that was asked, and health."""
    known = {(r["rubric"], r["seed"]): r["policies"] for r in runs if r["arm"] == "spa"}
    body = []
    for rubric in RUBRICS:
        own = [row for row in rows if row["rubric"] == rubric and row["arm"] == "spa"]
        if own:
            body.append(
                [f"`{rubric}`", ", ".join(str(row["seed"]) for row in own), *_cells(own, known)]
            )
    header = [
        "rubric", "seeds", "round 2 - seed policy, long", "round 2 - base, long",
        "round 2 - base that is asked", "base that is asked - base",
        "nats a token: base, seed, round 2", "distinct-2, long: base, seed, round 2",
    ]  # fmt: skip
    return study.markdown("Longer answers, a base that is asked, health", header, body)


def _cells(own: Sequence[dict[str, Any]], known: Mapping[tuple[str, int], Any]) -> list[str]:
    def long(name: str) -> list[list[float]]:
        return [row["policies"][name]["long"]["scores"] for row in own]

    def trained(name: str) -> list[list[float]]:
        found = []
        for row in own:
            test = known[row["rubric"], row["seed"]][name]["test"]
            scores = dict(zip(test["prompts"], test["scores"], strict=True))
            found.append([scores[prompt] for prompt in row["prompted"]["prompts"]])
        return found

    asked = [row["prompted"]["scores"] for row in own]
    gaps = (
        (long("2"), long("0")), (long("2"), long("base")), (trained("2"), asked),
        (asked, trained("base")),
    )  # fmt: skip
    cells = [study.percent(study.over_seeds(_minus(*gap))[0]) for gap in gaps]
    health: tuple[Callable[[Any], float], ...] = (
        lambda policy: policy["nats_per_token"],
        lambda policy: policy["long"]["distinct_2"],
    )
    for read in health:
        means = [sum(read(row["policies"][n]) for row in own) / len(own) for n in POLICIES]
        cells.append(", ".join(f"{mean:.2f}" for mean in means))
    return cells


def _minus(first: list[list[float]], second: list[list[float]]) -> list[list[float]]:
    return [
        [a - b for a, b in zip(one, other, strict=True)]
        for one, other in zip(first, second, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="ask the policies of the pipeline here (minutes)")
    running.add_argument("--rubric", choices=RUBRICS, required=True)
    running.add_argument("--arm", default="spa")
    commands.add_parser("table", help="print the table")
    arguments = parser.parse_args()
    if arguments.command == "table":
        print(table(study.read_results(RESULTS), study.read_results(RUNS)))
        return
    row = Pipeline(Layout.find()).run(arguments.rubric)
    study.append(RESULTS, {"rubric": arguments.rubric, "arm": arguments.arm, **row})


if __name__ == "__main__":
    main()
