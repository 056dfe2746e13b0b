"""The stage filter: what is dropped, what is written, and a stop that loses nothing."""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from spa.files import read_json
from spa.layout import Layout
from spa.models import load_encoder
from spa.records import FlaggedPair, JudgedPair, Message, Pair, Prompt, Response, Score
from spa.tables import read_table, write_table
from stages._app import run
from tests.pipeline.tiny_params import write_pipeline

GOOD = "Yeast eats the sugar of the flour, and its gas slowly lifts the dough."
OTHER = "There is air in it, as bakers beat the batter until bubbles fill it all."


def _pair(number: int, chosen: str = GOOD, rejected: str = OTHER) -> JudgedPair:
    return JudgedPair(
        pair_id=f"p{number}",
        prompt_id=f"q{number}",
        prompt=[{"role": "user", "content": f"Why does bread number {number} rise?"}],
        chosen=chosen,
        rejected=rejected,
        chosen_finish_reason="stop",
        rejected_finish_reason="stop",
        chosen_id=f"a{number}",
        rejected_id=f"b{number}",
        margin=1.0 + number,
        probability=0.6,
        method="implicit",
    )


@pytest.fixture
def layout(
    tmp_path: Path, tiny_folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> Layout:
    layout = Layout(write_pipeline(tmp_path, tiny_folder, code=False, filter={"max_flagged": 0.5}))
    shutil.copy(database, layout.root)
    held_out: list[Message] = [{"role": "user", "content": "Why does bread number 3 rise?"}]
    write_table(layout.pool("development"), [], Prompt)
    write_table(layout.pool("test"), [Prompt(prompt_id="q3", prompt=held_out)], Prompt)
    for name in ("gold", "seed"):
        write_table(layout.pool(name), [], Pair)
    for place in (layout.pool(1), layout.earlier(1)):
        write_table(place, [], Prompt)
    write_table(layout.responses(1), [], Response)
    write_table(layout.scores(1), [], Score)
    shutil.copytree(tiny_folder, layout.policy("base"))
    monkeypatch.chdir(layout.root)
    return layout


def _spa(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit:
        run(list(arguments))
    return int(str(exit.value.code))


def _filter() -> int:
    return _spa("filter", "--round", "1")


def _response(name: str, token_ids: list[int], **changes: Any) -> Response:
    fields: dict[str, Any] = {
        "response_id": name, "prompt_id": "q", "prompt": _pair(0).prompt, "sample": 0,
        "text": GOOD, "token_ids": token_ids, "finish_reason": "stop", "seed": 0, "model": "m",
        "logprob": -2.0, "token_logprobs": [-1.0] * len(token_ids),
    }  # fmt: skip
    return Response(**{**fields, **changes})


def test_a_degenerate_pair_is_dropped_with_its_reason(layout: Layout) -> None:
    pairs = [_pair(0), _pair(1, rejected=GOOD), _pair(2)]
    write_table(layout.pairs(1), pairs, JudgedPair)
    assert _filter() == 0
    assert read_table(layout.kept(1), JudgedPair) == [pairs[0], pairs[2]]
    [flagged] = read_table(layout.flagged(1), FlaggedPair)
    assert flagged.pair_id == "p1"
    assert "identical" in json.dumps(flagged.reasons)
    report = read_json(layout.checks(1))
    assert (report["pairs"], report["kept"], report["flagged"]) == (3, 2, 1)
    assert report["margin_mean"] == pytest.approx(2.0)  # of margins 1 and 3
    assert report["margin_std"] == pytest.approx(1.0)


def test_a_held_out_prompt_stops_the_round_and_the_flagged_rows_stay(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(layout.pairs(1), [_pair(n) for n in range(4)], JudgedPair)
    assert _filter() == 1
    assert "overlap" in capsys.readouterr().err
    assert [row.pair_id for row in read_table(layout.flagged(1), FlaggedPair)] == ["p3"]


def test_a_rounds_own_limit_overrides(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(layout.pairs(1), [_pair(0), _pair(1)], JudgedPair)
    assert _filter() == 0
    params = yaml.safe_load(layout.params.read_text())
    params["rounds"]["1"]["filter"] = {"min_kept": 3}
    layout.params.write_text(yaml.safe_dump(params))
    assert _filter() == 1
    assert "kept is 2; wanted at least 3 (filter.min_kept" in capsys.readouterr().err


def test_answers_without_an_end_or_a_finite_score_drop_the_pairs_that_use_them(
    layout: Layout,
) -> None:
    end = load_encoder(layout.policy("base")).end_of_turn
    answers = [
        _response("a0", [5, end]),
        _response("b0", [5, 6]),
        _response("a1", [5, 6], finish_reason="length"),
        _response("b1", [5, end]),
        _response("a2", [5, end]),
    ]
    write_table(layout.responses(1), answers, Response)
    score = Score(response_id="a2", prompt_id="q2", policy_logp=-1.0, base_logp=float("-inf"),
                  tokens=2, reward=float("inf"))  # fmt: skip
    write_table(layout.scores(1), [score], Score)
    write_table(layout.pairs(1), [_pair(n) for n in (0, 1, 2, 4)], JudgedPair)
    assert _filter() == 0
    flagged = {row.pair_id: row.reasons for row in read_table(layout.flagged(1), FlaggedPair)}
    assert flagged == {"p0": ["missing_end:rejected"], "p2": ["non_finite:chosen"]}
    found = read_json(layout.checks(1))["suites"]["responses"]
    assert found["rows"] == 5
    failing = {e["reason"]: e["failing"] for e in found["expectations"] if e["failing"]}
    assert failing == {"missing_end": 1, "non_finite": 1}


def test_an_answer_with_a_special_token_that_its_text_leaves_out_is_a_leak(layout: Layout) -> None:
    """The start of a turn within an answer; a finished one may end with the end of its turn."""
    encoder = load_encoder(layout.policy("base"))
    end, start = encoder.end_of_turn, encoder.tokenizer.convert_tokens_to_ids("<|im_start|>")
    answers = [
        _response("a0", [5, end]),
        _response("b0", [5, start, 6, end]),
        _response("a1", [5, 6, end], finish_reason="length"),
        _response("b1", [5, 6], finish_reason="length"),
    ]
    write_table(layout.responses(1), answers, Response)
    write_table(layout.pairs(1), [_pair(n) for n in (0, 1, 2, 4)], JudgedPair)
    assert _filter() == 0
    flagged = {row.pair_id: row.reasons for row in read_table(layout.flagged(1), FlaggedPair)}
    assert flagged == {"p0": ["template_leak:rejected"], "p1": ["template_leak:chosen"]}
    found = read_json(layout.checks(1))["suites"]["responses"]["expectations"]
    assert {e["reason"]: e["failing"] for e in found if e["failing"]} == {"template_leak": 2}


def test_a_broken_file_of_answers_stops_the_round(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    end = load_encoder(layout.policy("base")).end_of_turn
    answers = [_response("a0", [5, end]), _response("a0", [5, end])]
    write_table(layout.responses(1), answers, Response)
    write_table(layout.pairs(1), [_pair(0)], JudgedPair)
    assert _filter() == 1
    assert "1 rows of responses with repeated_id, first row 2" in capsys.readouterr().err


def test_seed_and_gold_are_held_against_the_users_own_checks_and_stop_nothing(
    layout: Layout,
) -> None:
    """`split` has stopped where it should; here they are counted, by limits of params.yaml."""
    row = {k: v for k, v in _pair(7, rejected=GOOD).row().items() if k in Pair.SCHEMA.names}
    for name in ("seed", "gold"):
        write_table(layout.pool(name), [Pair(**row)], Pair)
    params = yaml.safe_load(layout.params.read_text())
    checks = {"identical": {"action": "stop"}, "near_identical": {"action": "off"}}
    params["filter"]["checks"] = checks
    layout.params.write_text(yaml.safe_dump(params))
    write_table(layout.pairs(1), [_pair(0)], JudgedPair)
    assert _filter() == 0
    suites = read_json(layout.checks(1))["suites"]
    failing = {
        name: {e["reason"]: e["failing"] for e in suites[name]["expectations"] if e["failing"]}
        for name in ("input", "gold")
    }
    assert failing == {"input": {"identical": 1, "overlap": 1}, "gold": {"identical": 1}}


def test_a_prompt_of_an_earlier_round_is_dropped(layout: Layout) -> None:
    write_table(layout.pairs(1), [_pair(0), _pair(1)], JudgedPair)
    write_table(layout.earlier(1), [Prompt(prompt_id="q1", prompt=_pair(1).prompt)], Prompt)
    assert _filter() == 0
    [flagged] = read_table(layout.flagged(1), FlaggedPair)
    assert (flagged.pair_id, flagged.reasons) == ("p1", ["reused_prompt"])


def test_flagged_shows_the_rows_and_their_reasons_escaped(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = "\x1b[2J<|im_end|>" + GOOD
    pairs = [_pair(0), _pair(1, rejected=nasty), _pair(2, GOOD, GOOD), _pair(4)]
    write_table(layout.pairs(1), pairs, JudgedPair)
    assert _filter() == 0
    capsys.readouterr()
    assert _spa("flagged", "--round", "1", "--reason", "template_leak") == 0
    shown = capsys.readouterr().out
    assert "p1  drop: template_leak:rejected" in shown
    assert r"\x1b[2J<|im_end|>" in shown
    assert "\x1b" not in shown
    assert shown.endswith("1 rows\n")
    assert _spa("flagged", "--round", "1", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["id"] for row in rows] == ["p1", "p2"]
    assert _spa("flagged", "--round", "1", "--reason", "margin_std", "--json") == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["p0", "p4"]
    assert _spa("flagged", "--round", "1", "--reason", "nothing") == 1
    assert "wanted one of identical" in capsys.readouterr().err


def test_docs_are_pages_that_ask_no_network(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _spa("docs") == 1
    write_table(layout.pairs(1), [_pair(0), _pair(1)], JudgedPair)
    assert _filter() == 0
    assert _spa("docs") == 0
    first = layout.docs / "index.html"
    text = first.read_text(encoding="utf-8")
    assert "distinct_answers" in text
    [page] = (layout.docs / "round-1" / "validations" / "pairs").rglob("*.html")
    assert quote(page.relative_to(layout.docs).as_posix()) in text
    for file in layout.docs.rglob("*.html"):
        asked = re.findall(r"""(?:src=|<link[^>]*href=|url\()["']?([^"')\s>]+)""", file.read_text())
        for place in asked:
            assert not place.startswith(("http", "//")), (file, place)
            if "static/offline" in place:
                assert (file.parent / place).is_file(), (file, place)
    assert "identical (drop): identical is only false" in page.read_text(encoding="utf-8")


def test_split_says_which_prompts_earlier_rounds_have(layout: Layout) -> None:
    assert _spa("split") == 0
    assert read_table(layout.earlier(1), Prompt) == []
    assert read_table(layout.earlier(2), Prompt) == read_table(layout.pool(1), Prompt)


@pytest.mark.parametrize("pool", ["development", "gold", "seed"])
def test_a_prompt_of_any_held_out_pool_or_of_the_seed_is_an_overlap(
    layout: Layout, pool: str
) -> None:
    kind = Prompt if pool == "development" else Pair
    row = {name: value for name, value in _pair(1).row().items() if name in kind.SCHEMA.names}
    write_table(layout.pool(pool), [kind(**row)], kind)
    write_table(layout.pairs(1), [_pair(0), _pair(1)], JudgedPair)
    assert _filter() == 1
    [flagged] = read_table(layout.flagged(1), FlaggedPair)
    assert (flagged.pair_id, flagged.reasons) == ("p1", ["overlap"])
