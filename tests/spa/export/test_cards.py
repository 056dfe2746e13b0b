"""Cards: the figures of the run, and text of others that breaks neither Markdown nor YAML."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from spa.errors import ArtefactError
from spa.export.cards import dataset_card, hub_name, model_card
from spa.export.facts import Facts, read_facts
from spa.export.markdown import code, front_matter, json_block, plain
from spa.export.private import public_name, without_places
from spa.export.sources import Sources
from spa.files import read_json, write_json
from spa.layout import Layout
from spa.param_files import load_params
from spa.records import JudgedPair, Pair
from spa.tables import read_table, write_table
from tests.exported_run import copy_run, record

HOSTILE = "x`\n---\n```\n# Owned <script>alert(1)</script> | a: {b} \u202e ``` \r\n~~~\n"
MARKDOWN = MarkdownIt("commonmark").enable("table")


def _facts(run: Layout, round: int = 2) -> Facts:
    params = load_params(run.params)
    return read_facts(Sources(run, params), run, params, round)


@pytest.mark.parametrize(("version", "said"), [(0, "of an older spa"), (2, "of a newer spa")])
def test_a_summary_of_another_version_is_one_clear_error(
    exported_run: Layout, tmp_path: Path, version: int, said: str
) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    summary = run.report / "summary.json"
    write_json(summary, read_json(summary) | {"schema_version": version})
    record(run)
    with pytest.raises(
        ArtefactError, match=rf"summary\.json: has schema_version {version}, {said}"
    ):
        _facts(run)


@pytest.mark.parametrize(
    "changes", [{"rounds": []}, {"rounds": 1}, {"rounds": [{}]}, {"health": {"2": {"says": 1}}}]
)
def test_a_summary_of_another_form_is_one_clear_error(
    exported_run: Layout, tmp_path: Path, changes: dict[str, Any]
) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    summary = run.report / "summary.json"
    write_json(summary, read_json(summary) | changes)
    record(run)
    wanted = r"summary\.json: found no .*; wanted the figures of base, 0, 1, 2, rival"
    with pytest.raises(ArtefactError, match=wanted):
        _facts(run)


def _front(card: str) -> dict[str, Any]:
    _, front, _ = card.split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(front)
    return found


@settings(max_examples=40)
@given(st.text())
def test_code_is_one_piece_of_code_whatever_it_holds(text: str) -> None:
    tokens = MARKDOWN.parseInline(f"a {code(text)} b")[0].children or []
    assert [token.type for token in tokens] == ["text", "code_inline", "text"]
    assert tokens[1].content.strip() == plain(text).strip()


@settings(max_examples=40)
@given(st.recursive(st.text(), lambda own: st.lists(own) | st.dictionaries(st.text(), own)))
def test_a_json_block_is_one_fence_that_holds_its_value(value: Any) -> None:
    tokens = MARKDOWN.parse(json_block(value))
    assert [token.type for token in tokens] == ["fence"]
    assert json.loads(tokens[0].content) == value


@settings(max_examples=40)
@given(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False) | st.lists(st.text())))
def test_front_matter_ends_where_it_ends(values: dict[str, Any]) -> None:
    text = front_matter(values) + "\n\n# Title\n"
    assert yaml.safe_load(text.split("\n---\n", 1)[0].removeprefix("---\n")) == values


def test_hostile_text_breaks_no_card(exported_run: Layout, tmp_path: Path) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    values = yaml.safe_load(run.params.read_text())
    values["base"]["source"] = values["split"]["system"] = values["split"]["source"] = HOSTILE
    run.params.write_text(yaml.safe_dump(values))
    kept = read_table(run.kept(1), JudgedPair)
    first = {"pair_id": "0", "chosen": HOSTILE, "rejected": f"{HOSTILE}."}
    write_table(run.kept(1), [JudgedPair(**{**kept[0].row(), **first}), *kept[1:]], JudgedPair)
    record(run)
    facts, before = _facts(run), _facts(exported_run)
    for make in (model_card, dataset_card):
        card, usual = make(facts), make(before)
        assert _front(card) == _front(usual)
        assert _outline(card) == _outline(usual)
        assert "\u202e" not in card
    assert "# Owned" in dataset_card(facts)  # it is there, as text


def _outline(card: str) -> list[str]:
    """Headings, fences and raw HTML."""
    tokens = MARKDOWN.parse(card.split("---\n", 2)[2])
    inline = [child for token in tokens for child in token.children or []]
    assert not [token for token in (*tokens, *inline) if token.type.startswith("html")]
    return [t.info or t.tag for t in tokens if t.type in ("heading_open", "fence", "hr")]


def test_the_model_card_has_the_figures_of_the_run(exported_run: Layout) -> None:
    card = model_card(_facts(exported_run))
    judged = "70.0% [60.0%, 80.0%]"
    for line in (
        f"| round 2 | 80.0% [75.0%, 85.0%] | 100 | - | {judged} | 1.20 | 40.0 | 50.0% |",
        "| rival | 78.0% [73.0%, 83.0%] | 100 | - | - | 1.12 | 40.0 | 50.0% |",
        "| 1 | round 0 | implicit (reference: base) | 10 | 1 | 2 | 2 | 0.8 | 0.1 | 2e-06 | "
        "1 | 0.1 | 0.5 |",
        "- Round 0: DPO on 8 labelled pairs from `data/raw/pairs.jsonl`.",
        "- 50.0% of the test answers were cut at 64 tokens.",
    ):
        assert f"{line}\n" in card
    assert "no clear difference, so the rounds have not shown" in card
    assert "Length: Round 2: answers of 210 characters" in card
    assert "round 3" not in card


def test_a_round_before_the_last_speaks_of_itself(exported_run: Layout) -> None:
    card = model_card(_facts(exported_run, 1))
    assert (
        "Win rate of round 1 minus that of the seed policy, paired by prompt: +26.7 points" in card
    )
    assert "round 2" not in card.lower()


def test_a_run_without_a_seed_says_what_took_its_place(
    exported_run: Layout, tmp_path: Path
) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    values = yaml.safe_load(run.params.read_text())
    values["base"]["policy"] = "/models/aligned"
    values["split"] |= {"seed_pairs": 0, "gold": 0, "source": None}
    run.params.write_text(yaml.safe_dump(values))
    write_table(run.pool("seed"), [], Pair)
    record(run)
    assert "- Round 0: `aligned`, a model that was aligned elsewhere" in model_card(_facts(run))
    front = _front(dataset_card(_facts(run)))
    assert front["configs"][0]["data_files"][0]["path"] == ["round-1.parquet", "round-2.parquet"]
    assert "configs" not in _front(dataset_card(_facts(run, 0)))


def test_a_gameable_annotator_is_named(exported_run: Layout, tmp_path: Path) -> None:
    assert "to the base's in 10.0%.\n" in model_card(_facts(exported_run))
    run = copy_run(exported_run, tmp_path / "run")
    file = run.evaluation("base") / "metrics.json"
    null = {"win_rate": 0.75, "win_rate_low": 0.6, "win_rate_high": 0.9, "n": 30}
    told = {"null_win_rate": {"rubric": 0.75}, "null_interval": {"rubric": null}}
    write_json(file, {**read_json(file), **told})
    record(run)
    assert "to the base's in 75.0%: it can be gamed" in model_card(_facts(run))


def test_the_hub_reads_both_cards(exported_run: Layout) -> None:
    model = ModelCard(model_card(_facts(exported_run))).data
    results = {result.metric_type: result.metric_value for result in model["eval_results"]}
    assert results == {
        "win_rate": 0.8, "win_rate_low": 0.75, "win_rate_high": 0.85, "kl_to_base": 1.2
    }  # fmt: skip
    assert model["base_model"] is None  # a wheel is no model of the Hub
    data = DatasetCard(dataset_card(_facts(exported_run))).data
    assert [own["config_name"] for own in data["configs"]] == [
        "default", "seed", "round-1", "round-2", "dropped"
    ]  # fmt: skip
    assert data["size_categories"] == ["n<1K"]


def test_names_of_the_hub_stand_in_the_front_matter(exported_run: Layout, tmp_path: Path) -> None:
    run = copy_run(exported_run, tmp_path / "run")
    values = yaml.safe_load(run.params.read_text())
    values["base"]["source"] = f"org/model@{'a' * 40}"
    values["split"]["source"] = f"org/pairs@{'b' * 40}"
    run.params.write_text(yaml.safe_dump(values))
    record(run)
    front = _front(model_card(_facts(run)))
    assert (front["base_model"], front["datasets"]) == ("org/model", ["org/pairs"])
    assert hub_name("org/model@main") is None
    assert hub_name(None) is None


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("/home/bob/models/mine", "mine"),
        ("/home/bob/models/mine/", "mine"),
        ("~/mine", "mine"),
        ("../../bob/mine", "mine"),
        ("C:\\Users\\bob\\mine", "mine"),
        ("models/mine", "models/mine"),
        ("org/name@0123", "org/name@0123"),
        ("wheel:a==1#sha256=00", "wheel:a==1#sha256=00"),
        ("1e-6", "1e-6"),
    ],
)
def test_a_place_outside_the_pipeline_is_its_name_alone(text: str, public: str) -> None:
    assert public_name(text) == public
    assert without_places({"a": [text, 1, None]}) == {"a": [public, 1, None]}


@pytest.mark.parametrize("text", ["/think Answer in a/b.", "~ be brief /", "Use ../ rarely."])
def test_a_system_turn_is_no_path(text: str) -> None:
    values = {"split": {"system": text, "source": "/home/bob/pairs.jsonl"}}
    assert without_places(values) == {"split": {"system": text, "source": "pairs.jsonl"}}
