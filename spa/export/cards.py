"""The model card and the dataset card, filled from facts; what is not known is left out."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from spa import __version__
from spa.export import markdown
from spa.export.facts import Facts
from spa.export.pairs import PublishedPair
from spa.export.private import public_name
from spa.pictures import name_of

HERE = Path(__file__).parent
DROPPED = "dropped"
_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@[0-9a-f]{40}(#[\w.-]+)?")
_ANNOTATORS = {
    "rubric": "a Python function that checks one preference exactly and knows nothing else",
    "llm": "a language model, asked both ways round",
    "reward_model": "a reward model",
    "recorded": "annotations from a file",
    "alpaca_eval": "a language model behind an endpoint, as AlpacaEval asks it",
}


def model_card(facts: Facts) -> str:
    """The model card; equal facts give equal text."""
    return _render("model_card.md.jinja", facts, front=markdown.front_matter(_model_front(facts)))


def dataset_card(facts: Facts) -> str:
    """The dataset card; equal facts give equal text."""
    return _render(
        "dataset_card.md.jinja",
        facts,
        front=markdown.front_matter(_dataset_front(facts)),
        files={name: len(pairs) for name, pairs in files_of(facts).items()},
        example=_example(facts),
    )


def files_of(facts: Facts) -> dict[str, list[PublishedPair]]:
    """The pairs by the name of their file, without its suffix; no file is empty."""
    files = {name: list(pairs) for name, pairs in facts.pairs.trained.items()}
    if facts.pairs.dropped:
        files[DROPPED] = list(facts.pairs.dropped)
    return {name: pairs for name, pairs in files.items() if pairs}


def _render(template: str, facts: Facts, **values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=False,  # Markdown: `code` and `json_block` quote what others wrote
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        code=markdown.code,
        json_block=markdown.json_block,
        percent=markdown.percent,
        number=markdown.number,
        interval=markdown.interval,
        policy=name_of,
        public=public_name,
    )
    return environment.get_template(template).render(
        facts=facts,
        params=facts.params,
        version=__version__,
        annotator=_ANNOTATORS.get(facts.row["annotator"]),
        **values,
    )


def _model_front(facts: Facts) -> dict[str, Any]:
    params = facts.params
    front: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if base := hub_name(params.base.policy or params.base.source):
        front["base_model"] = base
    if source := hub_name(params.split.source):
        front["datasets"] = [source]
    front["tags"] = ["spa", "dpo", "preference-optimization", "arxiv:2406.04412"]
    front["model-index"] = [{"name": title(facts), "results": [_results(facts)]}]
    return front


def _results(facts: Facts) -> dict[str, Any]:
    row = facts.row
    named = {
        "win_rate": f"win rate over the {row['against']} (annotator {row['annotator']}, "
        f"n = {row['n']})",
        "win_rate_low": "win rate, lower end of its 95 % interval",
        "win_rate_high": "win rate, upper end of its 95 % interval",
        "heldout_accuracy": "accuracy on held-out labelled pairs",
        "kl_to_base": "KL to the base, nats per answer",
    }
    return {
        "task": {"type": "text-generation"},
        "dataset": {"name": "held-out prompts of the run", "type": "spa-held-out"},
        "metrics": [
            {"type": key, "name": name, "value": round(row[key], 6)}
            for key, name in named.items()
            if row.get(key) is not None
        ],
    }


def _dataset_front(facts: Facts) -> dict[str, Any]:
    files = files_of(facts)
    trained = [f"{name}.parquet" for name in files if name != DROPPED]
    configs = [_config("default", trained, default=True)] if trained else []
    configs += [_config(name, [f"{name}.parquet"]) for name in files]
    return {
        "pretty_name": f"Preference pairs of {title(facts)}",
        "task_categories": ["text-generation"],
        "tags": ["preference", "dpo", "trl", "spa"],
        "size_categories": [_size(sum(map(len, files.values())))],
        **({"configs": configs} if configs else {}),
    }


def _config(name: str, files: list[str], *, default: bool = False) -> dict[str, Any]:
    entry: dict[str, Any] = {"config_name": name, **({"default": True} if default else {})}
    return {**entry, "data_files": [{"split": "train", "path": files}]}


def _size(rows: int) -> str:
    edges = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
    return next((name for edge, name in edges if rows < edge), "1M<n<10M")


def _example(facts: Facts) -> dict[str, Any] | None:
    """The pair with the first id, which is a hash: a draw that nobody chose."""
    trained = [pair for own in facts.pairs.trained.values() for pair in own]
    return min(trained, key=lambda pair: pair.pair_id).row() if trained else None


def title(facts: Facts) -> str:
    """The name of what is published: fixed words alone, which no file or user gave."""
    return f"SPA round {facts.round}"


def hub_name(source: str | None) -> str | None:
    """`org/name` of a source on the Hub, None of any other."""
    found = _HUB.fullmatch(source or "")
    return found["name"] if found else None
